/** Bit streams of integers, the most significant bit first. */

/** The longest valid prefix of an Elias gamma code. */
const MAX_LENGTH = 32;

export class BitReader {
  /** @param {Uint8Array} content */
  constructor(content) {
    this.content = content;
    this.position = 0;
  }

  /**
   * Read an integer of at most 33 bits, which 32-bit operators cannot hold.
   *
   * @param {number} length
   * @returns {number}
   */
  read(length) {
    if (this.position + length > 8 * this.content.length) {
      throw new Error("the tables are cut off");
    }
    let value = 0;
    for (const end = this.position + length; this.position < end; ) {
      const byte = this.content[this.position >> 3];
      value = 2 * value + ((byte >> (7 - (this.position & 7))) & 1);
      this.position++;
    }
    return value;
  }

  /** Read an Elias gamma code, an integer that is not negative. */
  readGamma() {
    let length = 0;
    while (!this.read(1)) {
      length++;
      if (length > MAX_LENGTH) {
        throw new Error(`an integer must have at most ${MAX_LENGTH + 1} bits`);
      }
    }
    return 2 ** length + this.read(length) - 1;
  }

  /** Read an integer of either sign. */
  readSigned() {
    const value = this.readGamma();
    return value % 2 ? (value + 1) / 2 : -value / 2;
  }

  /** Throw unless only the padding of the last byte is left. */
  requireEnd() {
    const rest = 8 * this.content.length - this.position;
    if (rest >= 8 || this.read(rest)) {
      throw new Error("the tables must end with their last symbol");
    }
  }
}
