/** Compact tables of symbol frequencies. */

export const PRECISION = 14;
export const TOTAL = 1 << PRECISION;
const MAX_SYMBOLS = 4096;
/** The largest magnitude of the first value of an alphabet. */
const MAX_VALUE = 1 << 20;
const MAX_COUNT_LENGTH = 28;
const MANTISSA_FIELD = 3;

/**
 * The symbols have the values `first`, `first + 1`, and so on. Their
 * frequencies add up to `TOTAL`.
 *
 * @typedef {{first: number, frequencies: Uint16Array}} Table
 */

/**
 * @param {import("./bit_reader.js").BitReader} reader
 * @returns {Table}
 */
export function readTable(reader) {
  const first = reader.readSigned();
  const count = reader.readGamma() + 1;
  const mantissa = reader.read(MANTISSA_FIELD);
  if (Math.abs(first) > MAX_VALUE || count > MAX_SYMBOLS) {
    throw new Error(
      `a table must have at most ${MAX_SYMBOLS} symbols, the first one within ` +
        `${MAX_VALUE} of 0`,
    );
  }
  const counts = new Array(count);
  let length = 0;
  for (let symbol = 0; symbol < count; symbol++) {
    length += reader.readSigned();
    if (!(length >= 0 && length <= MAX_COUNT_LENGTH)) {
      throw new Error(`a count must have at most ${MAX_COUNT_LENGTH} bits`);
    }
    const bits = Math.min(mantissa, Math.max(length - 1, 0));
    counts[symbol] = restore(length, reader.read(bits), bits);
  }
  if (!counts.some((count) => count > 0)) {
    throw new Error("a table must have a symbol that occurs");
  }
  return { first, frequencies: normalize(counts) };
}

/** Return the middle of the range of counts that are stored alike. */
function restore(length, kept, bits) {
  if (!length) return 0;
  const dropped = length - 1 - bits;
  return (((1 << bits) | kept) << dropped) + ((1 << dropped) >> 1);
}

/** Scale counts to frequencies that add up to `TOTAL`. */
function normalize(counts) {
  const sum = counts.reduce((total, count) => total + count);
  // A remainder is exact, the quotient of large numbers need not be.
  const remainders = counts.map((count) => (count * TOTAL) % sum);
  const frequencies = counts.map((count, symbol) =>
    count ? Math.max((count * TOTAL - remainders[symbol]) / sum, 1) : 0,
  );
  let left = TOTAL - frequencies.reduce((total, each) => total + each);
  if (left > 0) {
    for (const symbol of largest(remainders).slice(0, left)) {
      frequencies[symbol]++;
    }
  }
  while (left < 0) {
    const order = largest(frequencies)
      .filter((symbol) => frequencies[symbol] > 1)
      .slice(0, -left);
    for (const symbol of order) frequencies[symbol]--;
    left += order.length;
  }
  return Uint16Array.from(frequencies);
}

/** Return the indices of numbers, the largest first, then the first. */
function largest(numbers) {
  return [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a] || a - b);
}
