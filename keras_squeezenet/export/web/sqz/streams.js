/** Arrays of small integers in one entropy-coded (rANS) stream. */

import { BitReader } from "./bit_reader.js";
import { PRECISION, TOTAL, readTable } from "./frequency_tables.js";

const HEAD_BYTES = 5;
const MAX_LANES_LOG2 = 14;
/** The largest number of symbols of a lane. */
const MAX_STEPS = 1 << 18;
/** States are at least this; all of them are this at the end. */
const LOWEST = 1 << 16;

/**
 * Decode arrays of integers.
 *
 * @param {Uint8Array} content
 * @param {(Int32Array | Uint16Array)[]} arrays the arrays to fill, whose sizes
 *     are those of the arrays in the content
 * @param {boolean} hasGeometric as `readTable` takes it
 */
export function decodeStreams(content, arrays, hasGeometric) {
  if (content.length < HEAD_BYTES) {
    throw new Error(
      `the streams must have at least ${HEAD_BYTES} bytes. Received: ` +
        `${content.length} bytes`,
    );
  }
  const head = new DataView(content.buffer, content.byteOffset, HEAD_BYTES);
  const lanesLog2 = head.getUint8(0);
  if (lanesLog2 > MAX_LANES_LOG2) {
    throw new Error(
      `the streams must have at most 2**${MAX_LANES_LOG2} lanes. Received: ` +
        `2**${lanesLog2} lanes`,
    );
  }
  const total = arrays.reduce((sum, array) => sum + array.length, 0);
  if (total > MAX_STEPS * 2 ** lanesLog2) {
    throw new Error(
      `the streams must have a lane for each ${MAX_STEPS} of their ${total} ` +
        `symbols. Received: ${1 << lanesLog2} lanes`,
    );
  }
  const end = HEAD_BYTES + head.getUint32(1, true);
  const reader = new BitReader(content.subarray(HEAD_BYTES, end));
  const present = arrays.filter((array) => array.length);
  const tables = present.map(() => readTable(reader, hasGeometric));
  reader.requireEnd();
  const coded = content.subarray(end);
  requireBits(coded, tables, present);
  const decoder = new Decoder(coded, 1 << lanesLog2);
  present.forEach((array, index) => decoder.decode(tables[index], array));
  decoder.requireEnd();
}

/**
 * Throw if the bits are too few for the symbols, each counted as the most
 * likely one. The time that a damaged file takes is thus bounded by its size.
 */
function requireBits(coded, tables, arrays) {
  const bits = arrays.map((array, index) => {
    const { frequencies } = tables[index];
    const highest = frequencies.reduce((a, b) => Math.max(a, b));
    return array.length * (PRECISION - Math.log2(highest));
  });
  // Rounding may save bits, but less than half of them.
  if (bits.reduce((sum, each) => sum + each, 0) / 2 > 8 * coded.length) {
    throw new Error("the content ends before its last symbol");
  }
}

class Decoder {
  constructor(content, lanes) {
    if (content.length < 4 * lanes || content.length % 2) {
      throw new Error(
        "the symbols must have an even number of bytes, at least " +
          `${4 * lanes}. Received: ${content.length} bytes`,
      );
    }
    const { buffer, byteOffset, byteLength } = content;
    this.content = new DataView(buffer, byteOffset, byteLength);
    this.states = Uint32Array.from({ length: lanes }, (_, lane) =>
      this.content.getUint32(4 * lane, true),
    );
    this.position = 4 * lanes;
    this.lane = 0;
    this.symbolAt = new Uint16Array(TOTAL);
  }

  /** Fill an array with its next symbols. */
  decode({ first, frequencies }, array) {
    const { states, symbolAt, content } = this;
    const starts = new Uint16Array(frequencies.length);
    let start = 0;
    frequencies.forEach((frequency, symbol) => {
      symbolAt.fill(symbol, start, start + frequency);
      starts[symbol] = start;
      start += frequency;
    });
    let { lane, position } = this;
    for (let i = 0; i < array.length; i++) {
      let state = states[lane];
      const place = state & (TOTAL - 1);
      const symbol = symbolAt[place];
      // At most 2^32 - 1, so that no bit is lost.
      state = frequencies[symbol] * (state >>> PRECISION) + place - starts[symbol];
      if (state < LOWEST) {
        if (position >= content.byteLength) {
          throw new Error("the content ends before its last symbol");
        }
        state = state * LOWEST + content.getUint16(position, true);
        position += 2;
      }
      states[lane] = state;
      lane = (lane + 1) & (states.length - 1);
      array[i] = first + symbol;
    }
    Object.assign(this, { lane, position });
  }

  /** Throw unless the lanes are as the encoder began. */
  requireEnd() {
    const atEnd = this.position === this.content.byteLength;
    if (!atEnd || this.states.some((state) => state !== LOWEST)) {
      throw new Error("the content must end with its last symbol");
    }
  }
}
