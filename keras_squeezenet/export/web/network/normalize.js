/** From RGB to the numbers that a network takes. */

import { require } from "../sqz/require.js";

/** The weights of R, G and B in gray. */
const GRAY = [0.299, 0.587, 0.114];

/**
 * @typedef {{channels: string, mean: number[], scale: number | number[]}} Input
 *     the normalization in the header of a .sqz file
 */

/** `preprocess_input` of keras_squeezenet. */
const CAFFE = { channels: "BGR", mean: [103.939, 116.779, 123.68], scale: 1 };

/**
 * Return a function of RGB pixels, from 0 to 255, three for a point.
 *
 * @param {Input | undefined} input
 * @param {number} channels of the images that the network takes, 1 or 3
 * @returns {(pixels: ArrayLike<number>) => Float32Array}
 */
export function normalizer(input, channels) {
  const { channels: order, mean, scale } = input ?? CAFFE;
  const scales = Array.isArray(scale) ? scale : [scale, scale, scale];
  const isUsual =
    (order === "RGB" || order === "BGR") &&
    [mean, scales].every(
      (each) => each.length === 3 && each.every(Number.isFinite),
    );
  require(isUsual, "the images must have a known normalization", order);
  if (channels === 1) return grayNormalizer(mean, scales);
  require(channels === 3, "the images must be RGB or gray", channels);
  const last = order === "BGR" ? 2 : 0;
  return (pixels) =>
    Float32Array.from(pixels, (_, i) => {
      const channel = i % 3;
      const value = pixels[i - channel + Math.abs(last - channel)];
      return (value - mean[channel]) * scales[channel];
    });
}

function grayNormalizer(mean, scales) {
  const isOne = [mean, scales].every((each) => new Set(each).size === 1);
  require(isOne, "gray images must have one mean and one scale", mean);
  return (pixels) =>
    Float32Array.from({ length: pixels.length / 3 }, (_, i) => {
      const rgb = GRAY.map((weight, c) => weight * pixels[3 * i + c]);
      const gray = Math.round(rgb[0] + rgb[1] + rgb[2]);
      return (gray - mean[0]) * scales[0];
    });
}
