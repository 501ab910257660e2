/**
 * SHA-256 (FIPS 180-4). `crypto.subtle` is missing in pages from plain http.
 */

/** The first 32 bits of the fractional parts of roots of the first primes. */
const [INITIAL, CONSTANTS] = tables();

/**
 * @param {Uint8Array} content
 * @returns {Uint8Array} the digest, 32 bytes
 */
export function sha256(content) {
  const state = Uint32Array.from(INITIAL);
  const schedule = new Uint32Array(64);
  const whole = content.length - (content.length % 64);
  const view = new DataView(content.buffer, content.byteOffset, whole);
  for (let block = 0; block < whole; block += 64) {
    compress(state, schedule, view, block);
  }
  const end = padded(content.subarray(whole), content.length);
  for (let block = 0; block < end.byteLength; block += 64) {
    compress(state, schedule, end, block);
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(4 * index, word));
  return new Uint8Array(digest.buffer);
}

/** Return the last blocks: the rest of the content, a 1, and the length. */
function padded(rest, length) {
  const blocks = new Uint8Array(rest.length < 56 ? 64 : 128);
  blocks.set(rest);
  blocks[rest.length] = 0x80;
  const view = new DataView(blocks.buffer);
  view.setUint32(blocks.length - 8, Math.floor(length / 2 ** 29));
  view.setUint32(blocks.length - 4, length << 3);
  return view;
}

function compress(state, schedule, view, block) {
  for (let i = 0; i < 16; i++) {
    schedule[i] = view.getUint32(block + 4 * i);
  }
  for (let i = 16; i < 64; i++) {
    const a = schedule[i - 15];
    const b = schedule[i - 2];
    const first = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
    const second = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
    schedule[i] = schedule[i - 16] + first + schedule[i - 7] + second;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = (h + sum1 + choice + CONSTANTS[i] + schedule[i]) | 0;
    const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [h, g, f, e] = [g, f, e, (d + first) | 0];
    [d, c, b, a] = [c, b, a, (first + sum0 + majority) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
}

function rotate(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

function tables() {
  const primes = [];
  for (let number = 2; primes.length < 64; number++) {
    if (primes.every((prime) => number % prime)) primes.push(number);
  }
  const fraction = (root) => (root - Math.floor(root)) * 2 ** 32;
  return [
    Uint32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime))),
    Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
  ];
}
