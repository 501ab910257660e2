/** Files of this folder, with the share that has arrived. */

/**
 * @param {string} url
 * @param {number} bytes the size of the file
 * @param {(received: number) => void} onProgress takes the bytes of each part
 * @returns {Promise<Uint8Array>}
 */
export async function download(url, bytes, onProgress) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`${url} cannot be loaded (status ${response.status})`);
  }
  const content = new Uint8Array(bytes);
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (length + value.length > bytes) {
      await reader.cancel();
      throw new Error(`${url} must have ${bytes} bytes, and has more`);
    }
    content.set(value, length);
    length += value.length;
    onProgress(value.length);
  }
  return content.subarray(0, length);
}
