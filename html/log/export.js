// The log as JSON Lines and as CSV, with whole payloads.
import { bytesOf, toBase64 } from "../base/bytes.js";
import { formatMilliseconds, formatSize, formatTimeOfDay } from "../base/format.js";
import { noteText, VERDICTS, verdictOf } from "./row.js";

/** Returns an entry as an object. Bytes are in base64. */
function toObject({ slot, entry }) {
  const time = new Date(entry.at).toISOString();
  if (entry.kind === "note") {
    const { name, text, url, code, reason } = entry;
    return { time, connection: slot, event: name, url, ...(code !== null && { code, reason }), text };
  }
  const isText = typeof entry.data === "string";
  return {
    time,
    connection: slot,
    event: entry.kind,
    url: entry.url,
    type: isText ? "text" : "binary",
    size: entry.size,
    ...(typeof entry.rtt === "number" && { round_trip_ms: Number(entry.rtt.toFixed(3)) }),
    ...(verdictOf(entry) && { verdict: VERDICTS[verdictOf(entry)][1] }),
    ...(isText ? { text: entry.data } : { base64: toBase64(bytesOf(entry.data)) }),
  };
}

/** Returns entries as JSON Lines. An item has the `slot` of its connection and the `entry`. */
export const toJsonLines = (items) => items.map((item) => `${JSON.stringify(toObject(item))}\n`).join("");

const COLUMNS = ["time", "connection", "event", "url", "type", "size", "round_trip_ms", "verdict", "code", "reason", "text", "base64"];

/** Returns entries as CSV (RFC 4180). */
export function toCsv(items) {
  const lines = items.map((item) => {
    const values = toObject(item);
    return COLUMNS.map((name) => quoted(values[name])).join(",");
  });
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

/** Quotes a value. A value that a spreadsheet would take for a formula gets an apostrophe in front. */
function quoted(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Returns entries as lines of text. */
export function toText(items) {
  const line = ({ entry }) => {
    if (entry.kind === "note") {
      return `${formatTimeOfDay(entry.at)}  ${noteText(entry)}`;
    }
    const verdict = verdictOf(entry);
    const parts = [formatTimeOfDay(entry.at), entry.kind, formatSize(entry.size)];
    parts.push(typeof entry.rtt === "number" ? formatMilliseconds(entry.rtt) : "", verdict ? VERDICTS[verdict][1] : "");
    parts.push(typeof entry.data === "string" ? entry.data : `base64 ${toBase64(bytesOf(entry.data))}`);
    return parts.filter(Boolean).join("  ");
  };
  return items.map(line).join("\n");
}
