/** TensorFlow.js with its WebAssembly backend, as ordinary scripts. */

/** The names that the backend wants paths for, of which it takes the second. */
const BINARIES = [
  "tfjs-backend-wasm.wasm",
  "tfjs-backend-wasm-simd.wasm",
  "tfjs-backend-wasm-threaded-simd.wasm",
];

/**
 * A file of the runtime, and its digest for subresource integrity.
 *
 * @typedef {{url: string, integrity: string, bytes: number}} RuntimeFile
 */

/**
 * @param {{core: RuntimeFile, backend: RuntimeFile, wasm: RuntimeFile}} files
 * @param {(received: number) => void} onProgress takes the bytes of each file
 * @returns {Promise<object>} TensorFlow.js
 */
export async function loadRuntime({ core, backend, wasm }, onProgress) {
  const compiled = fetch(wasm.url, { integrity: wasm.integrity });
  // Awaited later, so that it is no unhandled rejection before.
  compiled.catch(() => {});
  for (const script of [core, backend]) {
    await loadScript(script);
    onProgress(script.bytes);
  }
  const { tf } = globalThis;
  const content = await (await compiled).blob();
  onProgress(wasm.bytes);
  const binary = new Blob([content], { type: "application/wasm" });
  const url = URL.createObjectURL(binary);
  // Threads need headers that static servers do not send.
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  tf.wasm.setWasmPaths(Object.fromEntries(BINARIES.map((name) => [name, url])));
  if (!(await tf.setBackend("wasm"))) {
    throw new Error("this browser is too old: WebAssembly with SIMD is needed");
  }
  URL.revokeObjectURL(url);
  return tf;
}

function loadScript({ url, integrity }) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: url, integrity, crossOrigin: "anonymous" });
    script.onload = resolve;
    script.onerror = () =>
      reject(new Error(`TensorFlow.js cannot be loaded from ${url}`));
    document.head.append(script);
  });
}
