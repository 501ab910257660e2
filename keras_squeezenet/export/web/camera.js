/** Photographs from a camera. */

/** Cameras are for pages from https, or of this computer. */
export const hasCamera = Boolean(globalThis.navigator?.mediaDevices);

/**
 * Show what the camera sees.
 *
 * @param {HTMLVideoElement} video
 */
export async function startCamera(video) {
  video.srcObject = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment" },
  });
  await video.play();
}

/**
 * Take a photograph of what the camera sees.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob>} a PNG file
 */
export async function takePhotograph(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.convertToBlob();
}

/**
 * Release the camera, if it is used.
 *
 * @param {HTMLVideoElement} video
 */
export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
