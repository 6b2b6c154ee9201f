// Bytes of messages: UTF-8, hexadecimal, base64.

const encoder = new TextEncoder();

/** Number of bytes that are converted in one call. Function calls have a limited number of arguments. */
const CHUNK = 0x2000;

/** Returns the bytes of a message: those of a binary message, or the UTF-8 of a text message. */
export function bytesOf(data) {
  return typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
}

/** Returns the number of bytes of a message. */
export const sizeOf = (data) => (typeof data === "string" ? utf8Length(data) : data.byteLength);

/** Returns the length of a text in UTF-8, without encoding it. */
export function utf8Length(text) {
  let length = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A pair of surrogates is four bytes in UTF-8, two for each.
    length += unit < 0x80 ? 0 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return length;
}

/** Returns bytes in hexadecimal, separated by spaces. */
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Returns bytes in base64. */
export function toBase64(bytes) {
  const parts = [];
  for (let i = 0; i < bytes.length; i += CHUNK) {
    parts.push(String.fromCharCode(...bytes.subarray(i, i + CHUNK)));
  }
  return btoa(parts.join(""));
}

/** Returns the bytes of pairs of hexadecimal digits. `0x`, spaces, commas and colons are ignored. */
export function fromHex(text) {
  const digits = text.replace(/0x/gi, "").replace(/[\s,:]/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new Error("Hex takes pairs of the digits 0 to 9 and a to f, for example 00 ff 7f");
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Returns the bytes of a base64 text, with the alphabet of RFC 4648, section 4 or 5. Whitespace is ignored. */
export function fromBase64(text) {
  const symbols = text.replace(/\s/g, "").replaceAll("-", "+").replaceAll("_", "/");
  try {
    return Uint8Array.from(atob(symbols), (symbol) => symbol.charCodeAt(0));
  } catch {
    throw new Error("Base64 takes the letters, digits, + and /, in groups of four, for example SGVsbG8=");
  }
}
