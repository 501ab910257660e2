/** The text of a header, deflated. */

import { DICTIONARY } from "./dictionary.js";

const MAX_BYTES = 1 << 20;

/**
 * Inflate the header of a file.
 *
 * @param {Uint8Array} packed
 * @returns {Promise<string>}
 */
export async function unpackHeader(packed) {
  const dictionary = await inflate([fromBase64(DICTIONARY)], "deflate");
  // Content that is stored, not deflated, is what later content may repeat.
  const { length } = dictionary;
  const stored = new Uint8Array([0, length, length >> 8, ~length, ~length >> 8]);
  const parts = [stored, dictionary, packed];
  const text = await inflate(parts, "deflate-raw", length + MAX_BYTES);
  return decode(text.subarray(length));
}

/** Inflate the header of a file of version 1, without the dictionary. */
export async function unpackHeaderVersion1(packed) {
  return decode(await inflate([packed], "deflate"));
}

/** Inflate content of bounded length. */
async function inflate(packed, format, maxBytes = MAX_BYTES) {
  const stream = new Blob(packed)
    .stream()
    .pipeThrough(new DecompressionStream(format));
  const reader = stream.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Error(`the header is damaged or cut off (${error.message})`);
    });
    if (done) break;
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new Error(`the header must have at most ${MAX_BYTES} bytes`);
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function decode(bytes) {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
