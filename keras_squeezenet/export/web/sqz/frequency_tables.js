/** Compact tables of symbol frequencies. */

export const PRECISION = 14;
export const TOTAL = 1 << PRECISION;
const MAX_SYMBOLS = 4096;
/** The largest magnitude of the first value of an alphabet. */
const MAX_VALUE = 1 << 20;
const MAX_COUNT_LENGTH = 28;
const MANTISSA_FIELD = 3;
/** In the place of a mantissa: the table has a geometric distribution. */
const GEOMETRIC = 7;
const DECAY_FIELD = 6;
const PEAK_WEIGHT = 2 ** MAX_COUNT_LENGTH;

/**
 * The symbols have the values `first`, `first + 1`, and so on. Their
 * frequencies add up to `TOTAL`.
 *
 * @typedef {{first: number, frequencies: Uint16Array}} Table
 */

/**
 * @param {import("./bit_reader.js").BitReader} reader
 * @param {boolean} hasGeometric whether there are geometric distributions, as
 *     from version 2 of the format on
 * @returns {Table}
 */
export function readTable(reader, hasGeometric) {
  const first = reader.readSigned();
  const count = reader.readGamma() + 1;
  const mantissa = reader.read(MANTISSA_FIELD);
  if (Math.abs(first) > MAX_VALUE || count > MAX_SYMBOLS) {
    throw new Error(
      `a table must have at most ${MAX_SYMBOLS} symbols, the first one within ` +
        `${MAX_VALUE} of 0`,
    );
  }
  const counts =
    hasGeometric && mantissa === GEOMETRIC
      ? readGeometric(reader, count)
      : readCounts(reader, count, mantissa);
  return { first, frequencies: normalize(counts) };
}

function readCounts(reader, size, mantissa) {
  const counts = new Array(size);
  let length = 0;
  for (let symbol = 0; symbol < size; symbol++) {
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
  return counts;
}

/** Return the middle of the range of counts that are stored alike. */
function restore(length, kept, bits) {
  if (!length) return 0;
  const dropped = length - 1 - bits;
  return (((1 << bits) | kept) << dropped) + ((1 << dropped) >> 1);
}

/** Return weights that fall on both sides of a peak, none of them to 0. */
function readGeometric(reader, size) {
  const peak = reader.read(32 - Math.clz32(size - 1));
  if (peak >= size) {
    throw new Error(
      `the peak of a table must be one of its ${size} symbols. Received: ${peak}`,
    );
  }
  const decay = reader.read(DECAY_FIELD);
  const factor = 7 - (decay % 4);
  const divisor = 2 ** (3 + (decay >> 2));
  const weights = [PEAK_WEIGHT];
  while (weights.length < size) {
    const last = weights[weights.length - 1];
    weights.push(last - Math.floor((last * factor) / divisor));
  }
  return Array.from({ length: size }, (_, symbol) => weights[Math.abs(symbol - peak)]);
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
