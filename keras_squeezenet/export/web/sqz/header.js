/** The frame and the JSON header of a .sqz file. */

import { require } from "./require.js";
import { sha256 } from "./sha256.js";

const MAGIC = [0x89, 0x53, 0x51, 0x5a, 0x0d, 0x0a, 0x1a, 0x0a];
const VERSION = 1;
const DIGEST_BYTES = 16;
const HEAD_BYTES = MAGIC.length + 1 + DIGEST_BYTES;
const LENGTH_BYTES = 4;
export const MAX_BYTES = 1 << 26;
const MAX_HEADER_BYTES = 1 << 20;

/**
 * Verify the checksum, and return the header and the streams.
 *
 * @param {Uint8Array} content
 * @returns {Promise<{header: object, coded: Uint8Array}>}
 */
export async function openSqz(content) {
  require(
    content.length <= MAX_BYTES,
    `the file must have at most ${MAX_BYTES} bytes`,
    `${content.length} bytes`,
  );
  require(
    MAGIC.every((byte, index) => content[index] === byte),
    "a .sqz file must begin with \\x89SQZ\\r\\n\\x1a\\n",
    Array.from(content.subarray(0, MAGIC.length)),
  );
  require(
    content.length >= HEAD_BYTES + LENGTH_BYTES,
    `it is incomplete: it must have at least ${HEAD_BYTES + LENGTH_BYTES} bytes`,
    `${content.length} bytes`,
  );
  const version = content[MAGIC.length];
  require(
    version === VERSION,
    `the version of the format must be ${VERSION}`,
    version,
  );
  const digest = content.subarray(MAGIC.length + 1, HEAD_BYTES);
  const body = content.subarray(HEAD_BYTES);
  const found = sha256(body);
  if (digest.some((byte, index) => byte !== found[index])) {
    throw new Error(
      "its checksum is wrong: it is damaged or incomplete. Load it again.",
    );
  }
  const view = new DataView(body.buffer, body.byteOffset, LENGTH_BYTES);
  const end = LENGTH_BYTES + view.getUint32(0, true);
  const text = await inflate(body.subarray(LENGTH_BYTES, end));
  const header = JSON.parse(text);
  require(
    Array.isArray(header?.arrays),
    "the header must be an object with a list of arrays",
    typeof header,
  );
  return { header, coded: body.subarray(end) };
}

/** Inflate a text of bounded length. */
async function inflate(packed) {
  const stream = new Blob([packed])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Error(`the header is damaged or cut off (${error.message})`);
    });
    if (done) break;
    length += value.length;
    if (length > MAX_HEADER_BYTES) {
      await reader.cancel();
      throw new Error(`the header must have at most ${MAX_HEADER_BYTES} bytes`);
    }
    parts.push(value);
  }
  const whole = await new Blob(parts).arrayBuffer();
  return new TextDecoder("utf-8", { fatal: true }).decode(whole);
}
