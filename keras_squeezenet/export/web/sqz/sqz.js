/**
 * The .sqz file: entropy-coded arrays and a JSON header. `SQZ.md` of
 * keras_squeezenet specifies the format.
 */

import { openSqz } from "./frame.js";
import { require } from "./require.js";
import { decodeStreams } from "./streams.js";

const MAX_ARRAYS = 1024;
const MAX_NUMBERS = 1 << 24;
const FORMS = ["plain", "shared", "stepped"];
/** Codebooks are split into streams of bytes, most significant ones first. */
const BYTES = [8, 8, 8, 8];
const SIGN = 0x80000000;

/**
 * @typedef {{shape: number[], values: Float32Array}} Weights
 * @typedef {{name: string, form: string, shape: number[], entries?: number}} Row
 */

/**
 * Decode a .sqz file.
 *
 * @param {Uint8Array} content
 * @returns {Promise<{header: object, arrays: Map<string, Weights>}>}
 * @throws {Error} if it is not a .sqz file, or damaged
 */
export async function loadSqz(content) {
  const { version, header, coded } = await openSqz(content);
  /** @type {Row[]} */
  const rows = header.arrays;
  const sizes = countNumbers(rows);
  const codes = rows
    .filter((row) => row.form !== "plain")
    .map((row) => new Int32Array(product(row.shape)));
  const { floatFields, hasGeometric } = version;
  const deltas = BYTES.map(() => new Uint16Array(sizes.entries));
  const numbers = floatFields.map(() => new Uint16Array(sizes.numbers));
  decodeStreams(coded, [...codes, ...deltas, ...numbers], hasGeometric);
  const takeDeltas = taker(join(deltas, BYTES));
  const takeNumbers = taker(join(numbers, floatFields));
  const arrays = new Map();
  for (const row of rows) {
    const bits = decodeRow(row, codes, takeDeltas, takeNumbers);
    const values = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
    arrays.set(row.name, { shape: row.shape, values });
  }
  require(
    arrays.size === rows.length,
    "the arrays must have different names",
    `${rows.length} arrays with ${arrays.size} names`,
  );
  return { header, arrays };
}

/** Return the bits of the float32 numbers of a row. */
function decodeRow(row, codes, takeDeltas, takeNumbers) {
  if (row.form === "plain") return takeNumbers(product(row.shape));
  const code = codes.shift();
  if (row.form === "stepped") {
    const [step] = new Float32Array(takeNumbers(1).slice().buffer);
    // Exact in float64, and rounded once, as in float32.
    const values = Float32Array.from(code, (each) => each * step);
    return new Uint32Array(values.buffer);
  }
  const { name, entries } = row;
  require(
    code.every((each) => each >= 0 && each < entries),
    `${name} must have codes from 0 to ${entries - 1}`,
    "others",
  );
  const codebook = restoreCodebook(takeDeltas(entries));
  return Uint32Array.from(code, (each) => codebook[each]);
}

/** Return the bits of sorted float32 numbers from their differences. */
function restoreCodebook(deltas) {
  let ordered = 0;
  return deltas.map((delta) => {
    ordered = (ordered + delta) >>> 0;
    return ordered >= SIGN ? ordered - SIGN : ~ordered;
  });
}

/** Return the sizes of the streams that the rows need, within the limits. */
function countNumbers(rows) {
  require(
    rows.length <= MAX_ARRAYS,
    `the file must have at most ${MAX_ARRAYS} arrays`,
    rows.length,
  );
  let [codes, entries, numbers] = [0, 0, 0];
  for (const row of rows) {
    require(
      isRow(row),
      "a row of the header must have a name, a form and a shape",
      JSON.stringify(row),
    );
    const count = product(row.shape);
    if (row.form === "plain") {
      numbers += count;
      continue;
    }
    codes += count;
    if (row.form === "shared") entries += row.entries;
    else numbers += 1;
  }
  const total = codes + entries + numbers;
  require(
    total <= MAX_NUMBERS,
    `the arrays must have at most ${MAX_NUMBERS} numbers`,
    `${total} numbers`,
  );
  return { entries, numbers };
}

function isRow(row) {
  if (typeof row !== "object" || !Array.isArray(row?.shape)) return false;
  const counts = [...row.shape];
  if (row.form === "shared") counts.push(row.entries);
  return (
    typeof row.name === "string" &&
    FORMS.includes(row.form) &&
    counts.every((count) => Number.isSafeInteger(count) && count >= 0)
  );
}

function product(shape) {
  return shape.includes(0) ? 0 : shape.reduce((size, side) => size * side, 1);
}

/** Return 32-bit numbers from streams of so many of their bits each. */
function join(streams, fields) {
  const numbers = new Uint32Array(streams[0].length);
  streams.forEach((stream, index) => {
    const bits = fields[index];
    stream.forEach((value, i) => {
      numbers[i] = (numbers[i] << bits) | (value & ((1 << bits) - 1));
    });
  });
  return numbers;
}

/** Return a function that returns the next numbers of an array. */
function taker(numbers) {
  let position = 0;
  return (count) => numbers.subarray(position, (position += count));
}
