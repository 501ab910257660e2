/** Keras's activations in TensorFlow.js, by name. */

/** Those that a convolution or a matrix product computes along. */
export const FUSED = ["linear", "relu", "relu6"];

const swish = (tf, x) => tf.mul(x, tf.sigmoid(x));

/** @type {Record<string, (tf: object, x: object) => object>} */
export const ACTIVATIONS = {
  elu: (tf, x) => tf.elu(x),
  exponential: (tf, x) => tf.exp(x),
  gelu: (tf, x) =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  hard_sigmoid: (tf, x) => tf.div(tf.relu6(tf.add(x, 3)), 6),
  leaky_relu: (tf, x) => tf.leakyRelu(x, 0.2),
  linear: (tf, x) => x,
  log_softmax: (tf, x) => tf.logSoftmax(x),
  mish: (tf, x) => tf.mul(x, tf.tanh(tf.softplus(x))),
  relu: (tf, x) => tf.relu(x),
  relu6: (tf, x) => tf.relu6(x),
  selu: (tf, x) => tf.selu(x),
  sigmoid: (tf, x) => tf.sigmoid(x),
  silu: swish,
  softmax: (tf, x) => tf.softmax(x),
  softplus: (tf, x) => tf.softplus(x),
  softsign: (tf, x) => tf.div(x, tf.add(tf.abs(x), 1)),
  swish,
  tanh: (tf, x) => tf.tanh(x),
};
