/**
 * Throw an error that says what was expected and what was found.
 *
 * @param {boolean} condition
 * @param {string} expected
 * @param {unknown} received
 */
export function require(condition, expected, received) {
  if (!condition) {
    throw new Error(`${expected}. Received: ${String(received).slice(0, 100)}`);
  }
}
