// Bytes in lines of 16: offset, hexadecimal, ASCII.
import { make, makeButton } from "../base/dom.js";
import { formatSize } from "../base/format.js";

/** Bytes in a line. */
export const LINE = 16;

/** Bytes that are shown at first, and added by the button. */
const STEP = 4096;

/** Returns the printable ASCII characters of bytes, and a dot for each other byte. */
export const asciiOf = (bytes) =>
  Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");

/** Returns one line of a dump. */
export function dumpLine(bytes, offset) {
  const line = bytes.subarray(offset, offset + LINE);
  const hex = Array.from(line, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `${offset.toString(16).padStart(8, "0")}  ${hex.padEnd(LINE * 3 - 1)}  ${asciiOf(line)}`;
}

/** Returns a dump with a button for the rest. */
export function hexDump(bytes) {
  const dump = make("div");
  const frame = make("pre", "dump");
  frame.tabIndex = 0;
  frame.setAttribute("aria-label", "Bytes in hexadecimal and ASCII");
  let shown = 0;
  const more = makeButton("", () => showMore(), "quiet");
  const showMore = () => {
    const end = Math.min(bytes.length, shown + STEP);
    const lines = [];
    for (; shown < end; shown += LINE) {
      lines.push(dumpLine(bytes, shown));
    }
    frame.append(`${frame.firstChild ? "\n" : ""}${lines.join("\n")}`);
    more.hidden = shown >= bytes.length;
    more.textContent = `Show more of ${formatSize(bytes.length)}`;
  };
  showMore();
  dump.append(frame, more);
  return dump;
}
