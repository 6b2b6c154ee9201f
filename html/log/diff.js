// Where an echo differs from what was expected: the lines of both dumps, with the bytes marked.
import { bytesOf } from "../base/bytes.js";
import { make } from "../base/dom.js";
import { formatCount, formatNumberOf } from "../base/format.js";
import { asciiOf, LINE } from "./hex-dump.js";

/** Number of lines that are shown. */
const MAX_LINES = 64;

/** Returns the differences between the expected message and the one that was received. */
export function byteDiff(expectedData, receivedData) {
  const expected = bytesOf(expectedData);
  const received = bytesOf(receivedData);
  const length = Math.max(expected.length, received.length);
  const frame = make("pre", "dump diff");
  frame.tabIndex = 0;
  frame.setAttribute("aria-label", "Bytes that differ");
  let differing = 0;
  let first = -1;
  let lines = 0;
  for (let offset = 0; offset < length; offset += LINE) {
    const before = differing;
    for (let i = offset; i < Math.min(offset + LINE, length); i += 1) {
      if (expected[i] !== received[i]) {
        differing += 1;
        first = first < 0 ? i : first;
      }
    }
    if (differing > before && lines < MAX_LINES) {
      lines += 1;
      frame.append(line("−", expected, received, offset), line("+", received, expected, offset));
    }
  }
  const block = make("div");
  const text = `${formatNumberOf(differing, "byte")} of ${formatCount(length)} differ, the first at offset ${formatCount(first)}.`;
  block.append(make("p", "hint", `${text} − expected, + received`), frame);
  return block;
}

/** Returns a line of a dump in which the bytes that differ are marked. */
function line(sign, bytes, others, offset) {
  const row = make("div", sign === "+" ? "added" : "removed");
  row.append(`${sign} ${offset.toString(16).padStart(8, "0")} `);
  for (let i = offset; i < Math.min(offset + LINE, bytes.length); i += 1) {
    const text = bytes[i].toString(16).padStart(2, "0");
    row.append(" ", bytes[i] === others[i] ? text : make("mark", "", text));
  }
  row.append(`  ${asciiOf(bytes.subarray(offset, offset + LINE))}`);
  return row;
}
