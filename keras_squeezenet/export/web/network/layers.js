/**
 * The sizes of layers, and the limits on networks from files. Those are of
 * `layers.py` in keras_squeezenet, whose names this module has.
 */

import { require } from "../sqz/require.js";

const MAX_LAYERS = 512;
const MAX_INPUTS = 16;
const MAX_SIZE = 1 << 16;
const MAX_OUTPUT = 2 ** 25;
const MAX_OUTPUTS = 2 ** 29;
const MAX_OPERATIONS = 2 ** 36;

const isSize = (value) =>
  Number.isInteger(value) && value >= 1 && value <= MAX_SIZE;
const isPair = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(isSize);
const isPadding = (value) => value === "same" || value === "valid";
const isCounts = (value) =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((each) => each === 0 || isSize(each));
const WINDOW = { strides: isPair, padding: isPadding };

/** For each type of layer, the checks of the arguments that its size needs. */
const CHECKS = {
  Activation: {},
  Add: {},
  Concatenate: { axis: (value) => [-1, 1, 2, 3].includes(value) },
  Conv2D: { filters: isSize, kernel_size: isPair, ...WINDOW },
  Dense: { units: isSize },
  Dropout: {},
  GlobalAveragePooling2D: {},
  GlobalMaxPooling2D: {},
  MaxPooling2D: { pool_size: isPair, ...WINDOW },
  ReLU: {},
  Softmax: {},
  ZeroPadding2D: {
    padding: (value) =>
      Array.isArray(value) && value.length === 2 && value.every(isCounts),
  },
};
const MERGES = ["Add", "Concatenate"];
const SPATIAL = [
  ...["Conv2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"],
  ...["MaxPooling2D", "ZeroPadding2D"],
];

/**
 * A layer as `SQZ.md` describes it, with the arguments of its type.
 *
 * @typedef {{type: string, name: string, inputs: string[]}} Layer
 */

/**
 * Check a network from a file before any of it is run.
 *
 * @param {Layer[]} layers
 * @param {number[]} inputShape height, width and channels
 * @param {Map<string, {shape: number[], values: Float32Array}>} arrays
 */
export function requireNetwork(layers, inputShape, arrays) {
  require(
    layers.length >= 1 && layers.length <= MAX_LAYERS,
    `a network must have from 1 to ${MAX_LAYERS} layers`,
    layers.length,
  );
  require(
    inputShape.length === 3 && inputShape.every(isSize),
    "the input must have a height, a width and channels",
    inputShape,
  );
  const [first, ...others] = layers;
  const shapes = new Map([[first.name, inputShape]]);
  let [outputs, operations, weights] = [product(inputShape), 0, 0];
  for (const layer of others) {
    const received = receivedShapes(layer, shapes);
    const kernel = kernelShape(layer, received[0].at(-1));
    if (kernel) weights += requireWeights(layer, kernel, arrays);
    const shape = outputShape(layer, received);
    shapes.set(layer.name, shape);
    outputs += product(shape);
    operations += kernel
      ? product(shape.slice(0, -1)) * product(kernel)
      : product(shape) * product(layer.pool_size ?? [0]);
    for (const [value, limit, what] of [
      [product(shape), MAX_OUTPUT, `numbers in the output of ${layer.name}`],
      [outputs, MAX_OUTPUTS, "numbers in all outputs"],
      [operations, MAX_OPERATIONS, "multiplications"],
    ]) {
      require(
        value <= limit,
        `a network must have at most ${limit} ${what}`,
        value,
      );
    }
  }
  require(
    weights === arrays.size,
    "the file must have one array for each weight of the network",
    `${arrays.size} arrays for ${weights} weights`,
  );
}

/** Check a layer's inputs, and return their shapes. */
function receivedShapes(layer, shapes) {
  const { name, type, inputs } = layer;
  require(Object.hasOwn(CHECKS, type), `${name} must be a known layer`, type);
  for (const [key, allows] of Object.entries(CHECKS[type])) {
    require(allows(layer[key]), `${key} of ${name} must be valid`, layer[key]);
  }
  require(!shapes.has(name), "layers must have different names", name);
  require(
    inputs.length >= 1 &&
      inputs.length <= MAX_INPUTS &&
      inputs.every((each) => shapes.has(each)),
    `the inputs of ${name} must be layers before it`,
    inputs,
  );
  const received = inputs.map((each) => shapes.get(each));
  const ranks = new Set(received.map((shape) => shape.length));
  require(
    received.length > 1 === MERGES.includes(type) &&
      ranks.size === 1 &&
      (ranks.has(3) || !SPATIAL.includes(type)),
    `${name} must have inputs that a ${type} takes`,
    received.join(" and "),
  );
  return received;
}

/** Check a layer's weights, and return how many arrays they are. */
function requireWeights(layer, kernel, arrays) {
  const expected = { kernel };
  if (layer.use_bias) expected.bias = kernel.slice(-1);
  for (const [key, shape] of Object.entries(expected)) {
    const array = arrays.get(`${layer.name}/${key}`);
    require(
      String(array?.shape) === String(shape),
      `the ${key} of ${layer.name} must have the shape ${shape}`,
      array?.shape,
    );
    require(
      array.values.every(Number.isFinite),
      `the ${key} of ${layer.name} must be finite`,
      "NaN or infinity",
    );
  }
  return Object.keys(expected).length;
}

function kernelShape(layer, channels) {
  switch (layer.type) {
    case "Conv2D":
      return [...layer.kernel_size, channels, layer.filters];
    case "Dense":
      return [channels, layer.units];
    default:
      return null;
  }
}

function outputShape(layer, shapes) {
  const shape = calculateShape(layer, shapes[0], shapes);
  require(
    shape.every((side) => side >= 1),
    `${layer.name} must have an output that is not empty`,
    shapes[0],
  );
  return shape;
}

function calculateShape(layer, shape, shapes) {
  switch (layer.type) {
    case "Conv2D":
      return [...slide(layer, layer.kernel_size, shape), layer.filters];
    case "MaxPooling2D":
      return [...slide(layer, layer.pool_size, shape), shape[2]];
    case "ZeroPadding2D": {
      const [rows, columns] = layer.padding.map(([a, b]) => a + b);
      return [shape[0] + rows, shape[1] + columns, shape[2]];
    }
    case "GlobalAveragePooling2D":
    case "GlobalMaxPooling2D":
      return shape.slice(-1);
    case "Dense":
      return [...shape.slice(0, -1), layer.units];
    case "Add":
      return shape.map((_, axis) => Math.max(...shapes.map((s) => s[axis])));
    case "Concatenate": {
      // The shapes have no batch axis.
      const axis = layer.axis < 0 ? shape.length - 1 : layer.axis - 1;
      const joined = [...shape];
      joined[axis] = shapes.reduce((sum, each) => sum + each[axis], 0);
      return joined;
    }
    default:
      return shape;
  }
}

/** Return the output height and width of a moving window. */
function slide({ strides, padding }, window, shape) {
  return strides.map((step, axis) => {
    const length = padding === "same" ? 1 : window[axis];
    return Math.floor((shape[axis] - length) / step) + 1;
  });
}

function product(numbers) {
  return numbers.reduce((a, b) => a * b, 1);
}
