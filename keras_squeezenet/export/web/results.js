/** The answer of the network, for people. */

const TOP = 5;

/**
 * Show the most likely classes, with bars.
 *
 * @param {HTMLElement} list
 * @param {Float32Array} probabilities
 * @param {string[]} labels the names of the classes; empty if unknown
 */
export function showClasses(list, probabilities, labels) {
  const order = [...probabilities.keys()].sort(
    (a, b) => probabilities[b] - probabilities[a] || a - b,
  );
  const items = order.slice(0, TOP).map((index) => {
    const share = Math.min(Math.max(probabilities[index], 0), 1);
    const item = document.createElement("li");
    const name = labels[index]?.replaceAll("_", " ") ?? `class ${index}`;
    item.append(
      makeSpan("name", name),
      makeSpan("percent", `${(100 * share).toFixed(1)}%`),
    );
    const bar = makeSpan("bar", "");
    bar.style.setProperty("--share", share);
    item.append(bar);
    return item;
  });
  list.replaceChildren(...items);
}

function makeSpan(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

/**
 * Show a table of figures.
 *
 * @param {HTMLElement} list
 * @param {Record<string, string>} figures
 */
export function showFigures(list, figures) {
  const items = Object.entries(figures).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
  list.replaceChildren(...items);
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  const kilobytes = Math.round(bytes / 1000);
  return kilobytes < 1000
    ? `${kilobytes} kB`
    : `${(kilobytes / 1000).toFixed(1)} MB`;
}

/** @param {number} milliseconds */
export function formatTime(milliseconds) {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;
}
