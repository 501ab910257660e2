/** A network of a .sqz file, run by TensorFlow.js. */

import { require } from "../sqz/require.js";
import { ACTIVATIONS, FUSED } from "./activations.js";
import { requireNetwork } from "./layers.js";

/** @typedef {import("./layers.js").Layer} Layer */

export class Network {
  /**
   * @param {object} tf TensorFlow.js
   * @param {Layer[]} layers
   * @param {Map<string, {shape: number[], values: Float32Array}>} arrays
   * @param {number} side the height and width of images, where the network
   *     takes any
   */
  constructor(tf, layers, arrays, side) {
    const [height, width, channels] = layers[0].shape;
    /** Height, width and channels. */
    this.inputShape = [height ?? side, width ?? side, channels];
    requireNetwork(layers, this.inputShape, arrays);
    for (const { name, activation } of layers) {
      require(
        activation === undefined || Object.hasOwn(ACTIVATIONS, activation),
        `the activation of ${name} must be a known one`,
        activation,
      );
    }
    this.tf = tf;
    this.layers = layers;
    this.weights = new Map();
    for (const [name, { shape, values }] of arrays) {
      this.weights.set(name, tf.tensor(values, shape));
    }
  }

  /**
   * Return the outputs for one image.
   *
   * @param {Float32Array} image of `inputShape`
   * @returns {Promise<Float32Array>}
   */
  async run(image) {
    const { tf } = this;
    const outputs = tf.tidy(() => this.compute(image));
    const values = await outputs.data();
    outputs.dispose();
    return values;
  }

  compute(image) {
    const [first, ...others] = this.layers;
    const values = new Map();
    const shape = [1, ...this.inputShape];
    values.set(first.name, this.tf.tensor(image, shape));
    for (const layer of others) {
      const received = layer.inputs.map((name) => values.get(name));
      values.set(layer.name, this.call(layer, received));
      this.disposeUnused(layer, values);
    }
    return values.get(this.layers.at(-1).name);
  }

  /** Free the values that no later layer takes. */
  disposeUnused(layer, values) {
    const later = this.layers.slice(this.layers.indexOf(layer) + 1);
    for (const name of new Set(layer.inputs)) {
      if (!later.some(({ inputs }) => inputs.includes(name))) {
        const value = values.get(name);
        values.delete(name);
        // A dropout returns what it takes.
        if (![...values.values()].includes(value)) value.dispose();
      }
    }
  }

  call(layer, received) {
    const { tf } = this;
    const [x] = received;
    switch (layer.type) {
      case "Activation":
        return ACTIVATIONS[layer.activation](tf, x);
      case "Add":
        return received.reduce((sum, each) => tf.add(sum, each));
      case "Concatenate":
        return tf.concat(received, layer.axis);
      case "Conv2D":
        return this.convolve(layer, x);
      case "Dense":
        return this.multiply(layer, x);
      case "Dropout":
        return x;
      case "GlobalAveragePooling2D":
        return tf.mean(x, [1, 2]);
      case "GlobalMaxPooling2D":
        return tf.max(x, [1, 2]);
      case "MaxPooling2D":
        return tf.maxPool(x, layer.pool_size, layer.strides, layer.padding);
      case "ReLU":
        return tf.relu(x);
      case "Softmax":
        return tf.softmax(x);
      case "ZeroPadding2D":
        return tf.pad(x, [[0, 0], ...layer.padding, [0, 0]]);
    }
  }

  convolve(layer, x) {
    const outputs = this.tf.fused.conv2d({
      x,
      filter: this.weights.get(`${layer.name}/kernel`),
      strides: layer.strides,
      pad: layer.padding,
      ...this.fused(layer),
    });
    return this.activate(layer, outputs);
  }

  /** A dense layer takes the last axis, whatever is before it. */
  multiply(layer, x) {
    const kernel = this.weights.get(`${layer.name}/kernel`);
    const flat = this.tf.reshape(x, [-1, kernel.shape[0]]);
    const a = { a: flat, b: kernel, ...this.fused(layer) };
    const outputs = this.activate(layer, this.tf.fused.matMul(a));
    return this.tf.reshape(outputs, [...x.shape.slice(0, -1), layer.units]);
  }

  fused({ name, activation }) {
    return {
      bias: this.weights.get(`${name}/bias`),
      activation: FUSED.includes(activation) ? activation : "linear",
    };
  }

  activate({ activation }, outputs) {
    const { tf } = this;
    if (FUSED.includes(activation)) return outputs;
    return ACTIVATIONS[activation](tf, outputs);
  }
}
