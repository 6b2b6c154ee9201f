// Variables in messages: {{n}}, {{uuid}} and {{now}}.

const VARIABLE = /\{\{\s*(n|uuid|now)\s*\}\}/g;

/** Returns whether a text has variables. */
export const hasVariables = (text) => text.search(VARIABLE) >= 0;

/** Replaces the variables. `n` is the number of the message on its connection, from 1. */
export function replaceVariables(text, n) {
  const values = { n: () => String(n), uuid, now: () => new Date().toISOString() };
  return text.replace(VARIABLE, (_, name) => values[name]());
}

/** Returns a random UUID (RFC 9562, version 4). `crypto.randomUUID` does not exist on pages over plain HTTP. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
