/** A network of a .sqz file and its labels, that classifies squares. */

import { Network } from "./network/network.js";
import { normalizer } from "./network/normalize.js";
import { loadSqz } from "./sqz/sqz.js";

export class Classifier {
  /**
   * @param {object} tf TensorFlow.js
   * @param {{header: object, arrays: Map}} sqz what `loadSqz` returns
   * @param {number} side of images, where the network takes any
   */
  constructor(tf, { header, arrays }, side) {
    this.network = new Network(tf, header.network.layers, arrays, side);
    const { inputShape } = this.network;
    this.normalize = normalizer(header.input, inputShape[2]);
    /** The side of the squares in pixels. */
    this.side = inputShape[0];
  }

  /**
   * Return the probabilities of the classes.
   *
   * @param {ArrayLike<number>} pixels RGB from 0 to 255 of a square
   * @returns {Promise<Float32Array>}
   */
  async classify(pixels) {
    return probabilities(await this.network.run(this.normalize(pixels)));
  }
}

/**
 * @param {object} tf TensorFlow.js
 * @param {Uint8Array} content of a .sqz file
 * @param {number} side of images, where the network takes any
 * @returns {Promise<Classifier>}
 * @throws {Error} if it is not a .sqz file of a classifier, or damaged
 */
export async function loadClassifier(tf, content, side) {
  try {
    return new Classifier(tf, await loadSqz(content), side);
  } catch (error) {
    const cause = error instanceof TypeError ? "its header is wrong: " : "";
    throw new Error(
      `the content cannot be read as a .sqz file: ${cause}${error.message}`,
    );
  }
}

/** Treat outputs that are not between 0 and 1 as logits. */
function probabilities(outputs) {
  const low = outputs.reduce((a, b) => Math.min(a, b));
  const high = outputs.reduce((a, b) => Math.max(a, b));
  if (low >= -0.01 && high <= 1.01) return outputs;
  const exps = outputs.map((each) => Math.exp(each - high));
  const total = exps.reduce((a, b) => a + b);
  return exps.map((each) => each / total);
}
