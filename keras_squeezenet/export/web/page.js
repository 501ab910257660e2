/** The page: load the network, then classify each photograph. */

import * as cameras from "./camera.js";
import { loadClassifier } from "./classifier.js";
import { download } from "./download.js";
import { decode, square } from "./photographs.js";
import * as results from "./results.js";
import { loadRuntime } from "./runtime.js";

/**
 * What the page loads and shows, from page.json.
 *
 * @typedef {import("./runtime.js").RuntimeFile} RuntimeFile
 * @typedef {{
 *   name: string,
 *   labels: string[],
 *   side: number,
 *   shorter_side: number,
 *   network: {url: string, bytes: number},
 *   runtime: {core: RuntimeFile, backend: RuntimeFile, wasm: RuntimeFile},
 * }} Settings
 */

const element = (id) => document.getElementById(id);
const [file, preview, video] = ["file", "preview", "video"].map(element);
const [choose, camera, drop] = ["choose", "camera", "drop"].map(element);

/** Load everything, and return what classifies a file. */
async function load() {
  const started = performance.now();
  /** @type {Settings} */
  const settings = await (await fetch("page.json")).json();
  const { name, labels, network, runtime } = settings;
  element("about").textContent =
    `The network ${name} runs in your browser; photographs stay on this device.`;
  const files = Object.values(runtime);
  const runtimeBytes = files.reduce((sum, each) => sum + each.bytes, 0);
  element("progress").max = network.bytes + runtimeBytes;
  const advance = (bytes) => (element("progress").value += bytes);
  const [tf, content] = await Promise.all([
    loadRuntime(runtime, advance),
    download(network.url, network.bytes, advance),
  ]);
  const classifier = await loadClassifier(tf, content, settings.side);
  const figures = {
    "Network": results.formatBytes(network.bytes),
    "TensorFlow.js": results.formatBytes(runtimeBytes),
    "Loaded in": results.formatTime(performance.now() - started),
  };
  results.showFigures(element("figures"), figures);
  return async (photograph) => {
    const image = await decode(photograph);
    const pixels = square(image, classifier.side, settings.shorter_side);
    const begun = performance.now();
    const probabilities = await classifier.classify(pixels);
    figures["Classified in"] = results.formatTime(performance.now() - begun);
    results.showClasses(element("results"), probabilities, labels);
    results.showFigures(element("figures"), figures);
  };
}

function say(message, isError = false) {
  element("status").textContent = message;
  element("status").classList.toggle("error", isError);
}

/** Show a photograph, or what the camera sees. */
function show(shown) {
  for (const each of [preview, video, element("hint")]) {
    each.hidden = each !== shown;
  }
  drop.classList.add("full");
  camera.textContent = shown === video ? "Take photograph" : "Camera";
  if (shown !== video) cameras.stopCamera(video);
}

/** Show a photograph and classify it. */
async function showAnswer(photograph, classify) {
  element("results").replaceChildren();
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(photograph);
  show(preview);
  try {
    say("Classifying…");
    await classify(photograph);
    say("The network sees:");
  } catch (error) {
    say(error.message, true);
  }
}

async function showCamera() {
  try {
    await cameras.startCamera(video);
    show(video);
    element("results").replaceChildren();
    say("Ready.");
  } catch {
    say("The camera cannot be used. Allow it for this page.", true);
  }
}

/** Let the user choose, drop or take photographs. */
function listen(classify) {
  let pending = Promise.resolve();
  const answer = (photograph) => {
    pending = pending.then(() => showAnswer(photograph, classify));
  };
  file.disabled = choose.disabled = false;
  choose.onclick = () => file.click();
  file.onchange = () => {
    if (file.files.length) answer(file.files[0]);
    // So that the same file can be chosen again.
    file.value = "";
  };
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      const [dropped] = event.dataTransfer?.files ?? [];
      if (name === "drop" && dropped) answer(dropped);
    });
  }
  camera.hidden = !cameras.hasCamera;
  camera.onclick = async () => {
    if (video.hidden) await showCamera();
    else answer(await cameras.takePhotograph(video));
  };
}

try {
  listen(await load());
  say("Ready.");
} catch (error) {
  say(`The network cannot be loaded: ${error.message}`, true);
} finally {
  element("progress").hidden = true;
}
