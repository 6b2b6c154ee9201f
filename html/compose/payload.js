// Converts a draft to a message. A draft has a kind (text, json, hex, base64, file), a text, and the bytes of a
// file. The kind `exact` sends `bytes`, a string or an ArrayBuffer, as it is.
import { fromBase64, fromHex, utf8Length } from "../base/bytes.js";
import { hasVariables, replaceVariables } from "./variables.js";

/** The kinds of drafts and their names. */
export const KINDS = { text: "Text", json: "JSON", hex: "Hex", base64: "Base64", file: "File" };

/**
 * Returns the message of a draft: a string, or an `ArrayBuffer`. `n` replaces the variable {{n}}. With `size`, the message
 * is repeated or cut to that number of bytes. Throws an error with a sentence if the input is invalid.
 */
export function encode({ kind, text, bytes }, n, size = 0) {
  if (kind === "file") {
    if (!bytes) {
      throw new Error("Choose a file first");
    }
    return size > 0 ? fitBytes(new Uint8Array(bytes), size) : bytes;
  }
  if (kind === "exact") {
    return bytes;
  }
  const full = replaceVariables(text, n);
  if (kind === "hex" || kind === "base64") {
    const content = kind === "hex" ? fromHex(full) : fromBase64(full);
    return size > 0 ? fitBytes(content, size) : content.buffer;
  }
  if (kind === "json") {
    checkJson(full);
    return size > 0 ? padJson(full, size) : full;
  }
  return size > 0 ? fitText(full, size) : full;
}

/** Returns a function that encodes the draft for each number. A draft without variables is encoded once. */
export function encoder(draft, size) {
  if (draft.kind !== "file" && hasVariables(draft.text)) {
    return (n) => encode(draft, n, size);
  }
  const message = encode(draft, 1, size);
  return () => message;
}

function checkJson(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`Not valid JSON: ${error.message}`);
  }
}

/** Repeats or cuts bytes. */
function fitBytes(content, size) {
  const fitted = new Uint8Array(size);
  const source = content.length > 0 ? content : new Uint8Array(1);
  for (let at = 0; at < size; at += source.length) {
    fitted.set(source.subarray(0, size - at), at);
  }
  return fitted.buffer;
}

/** Repeats or cuts a text to a size in UTF-8. Spaces fill what a cut character leaves. */
function fitText(text, size) {
  const unit = text || " ";
  const length = utf8Length(unit);
  let fitted = unit.repeat(Math.floor(size / length));
  let left = size % length;
  for (const character of unit) {
    const needed = utf8Length(character);
    if (needed > left) {
      break;
    }
    fitted += character;
    left -= needed;
  }
  return fitted + " ".repeat(left);
}

/** Appends spaces to JSON, which may not be cut. */
function padJson(text, size) {
  const missing = size - utf8Length(text);
  if (missing < 0) {
    throw new Error(`The JSON has ${size - missing} bytes, more than the ${size} of the burst`);
  }
  return text + " ".repeat(missing);
}
