/** Photographs as squares of RGB pixels, as `predict` of Python makes them. */

/** Larger photographs are reduced by the browser while they are decoded. */
const MAX_PIXELS = 2 ** 24;
const REDUCED_SIDE = 1536;

/**
 * Decode a photograph, turned upright, over white where it is transparent.
 *
 * @param {Blob} file
 * @returns {Promise<ImageData>}
 * @throws {Error} if it is not an image that the browser reads
 */
export async function decode(file) {
  // Networks are trained on the numbers in the file, without color profiles.
  const options = { colorSpaceConversion: "none" };
  let bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error("This is not an image that the browser can read.");
  });
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    const scale = REDUCED_SIDE / Math.min(bitmap.width, bitmap.height);
    const reduced = await createImageBitmap(bitmap, {
      resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
      resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
      resizeQuality: "high",
    });
    bitmap.close();
    bitmap = reduced;
  }
  const { width, height } = bitmap;
  const context = makeContext(width, height);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

function makeContext(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  return canvas.getContext("2d", { willReadFrequently: true });
}

/**
 * Resize the shorter side of an image and crop the center.
 *
 * @param {{width: number, height: number, data: Uint8ClampedArray}} image RGBA
 * @param {number} side of the result in pixels
 * @param {number} shorterSide what the shorter side is resized to
 * @returns {Uint8ClampedArray} RGB, three numbers for a pixel
 */
export function square({ width, height, data }, side, shorterSide) {
  const scale = shorterSide / Math.min(width, height);
  const columns = makeWindows(width, roundToEven(width * scale), side);
  const rows = makeWindows(height, roundToEven(height * scale), side);
  // Across first, only in the rows that are needed.
  const top = rows[0].begin;
  const last = rows.at(-1);
  const bottom = last.begin + last.weights.length;
  const narrow = new Float32Array((bottom - top) * side * 3);
  for (let y = top, to = 0; y < bottom; y++) {
    for (const { begin, weights } of columns) {
      const from = 4 * (y * width + begin);
      for (let c = 0; c < 3; c++) {
        narrow[to++] = sum(data, from + c, 4, weights);
      }
    }
  }
  const stride = 3 * side;
  const result = new Uint8ClampedArray(side * stride);
  for (let y = 0, to = 0; y < side; y++) {
    const { begin, weights } = rows[y];
    for (let x = 0; x < stride; x++) {
      const from = (begin - top) * stride + x;
      result[to++] = sum(narrow, from, stride, weights);
    }
  }
  return result;
}

/** Round as TensorFlow does. */
function roundToEven(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
}

function sum(values, from, stride, weights) {
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    total += weights[i] * values[from + i * stride];
  }
  return total;
}

/**
 * Return the pixels, and their weights, that each pixel of a central crop is
 * the mean of: a triangle as wide as a pixel of the result, or of the image.
 *
 * @param {number} size of the image
 * @param {number} resized its size before the crop
 * @param {number} side of the crop
 */
function makeWindows(size, resized, side) {
  const scale = size / resized;
  const radius = Math.max(scale, 1);
  const offset = Math.floor((resized - side) / 2);
  return Array.from({ length: side }, (_, i) => {
    const center = (i + offset + 0.5) * scale;
    const begin = Math.max(0, Math.floor(center - radius));
    const end = Math.min(size, Math.ceil(center + radius));
    const weights = [];
    for (let place = begin; place < end; place++) {
      const distance = Math.abs(place + 0.5 - center) / radius;
      weights.push(Math.max(0, 1 - distance));
    }
    const total = weights.reduce((a, b) => a + b);
    return { begin, weights: weights.map((weight) => weight / total) };
  });
}
