/** The frame of a .sqz file: its version, checksum and header. */

import { unpackHeader, unpackHeaderVersion1 } from "./header_text.js";
import { require } from "./require.js";
import { sha256 } from "./sha256.js";

const MAGIC = [0x89, 0x53, 0x51, 0x5a, 0x0d, 0x0a, 0x1a, 0x0a];
const LENGTH_BYTES = 4;
export const MAX_BYTES = 1 << 26;

/**
 * What differs from one version of the format to the other: the length of the
 * checksum, how the header is inflated, whether tables may have geometric
 * distributions, and the bits of the streams of float32 numbers.
 *
 * @typedef {{
 *   digestBytes: number,
 *   unpackHeader: (packed: Uint8Array) => Promise<string>,
 *   hasGeometric: boolean,
 *   floatFields: number[],
 * }} Version
 */

/** @type {Map<number, Version>} */
const VERSIONS = new Map([
  [
    1,
    {
      digestBytes: 16,
      unpackHeader: unpackHeaderVersion1,
      hasGeometric: false,
      floatFields: [8, 8, 8, 8],
    },
  ],
  [
    2,
    {
      digestBytes: 8,
      unpackHeader,
      hasGeometric: true,
      floatFields: [9, 3, 10, 10],
    },
  ],
]);

/**
 * Verify the checksum, and return the version, the header and the streams.
 *
 * @param {Uint8Array} content
 * @returns {Promise<{version: Version, header: object, coded: Uint8Array}>}
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
  const number = content[MAGIC.length];
  const version = VERSIONS.get(number);
  require(
    version,
    `the version of the format must be from 1 to ${VERSIONS.size}`,
    number,
  );
  const start = MAGIC.length + 1 + version.digestBytes;
  require(
    content.length >= start + LENGTH_BYTES,
    `it is incomplete: it must have at least ${start + LENGTH_BYTES} bytes`,
    `${content.length} bytes`,
  );
  const digest = content.subarray(MAGIC.length + 1, start);
  const body = content.subarray(start);
  const found = sha256(body);
  if (digest.some((byte, index) => byte !== found[index])) {
    throw new Error(
      "its checksum is wrong: it is damaged or incomplete. Load it again.",
    );
  }
  const view = new DataView(body.buffer, body.byteOffset, LENGTH_BYTES);
  const end = LENGTH_BYTES + view.getUint32(0, true);
  const text = await version.unpackHeader(body.subarray(LENGTH_BYTES, end));
  const header = JSON.parse(text);
  require(
    Array.isArray(header?.arrays),
    "the header must be an object with a list of arrays",
    typeof header,
  );
  return { version, header, coded: body.subarray(end) };
}
