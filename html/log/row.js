// One line of the log: time, arrow, size, round trip, verdict, and the beginning of the message.
import { toHex } from "../base/bytes.js";
import { make } from "../base/dom.js";
import { formatMilliseconds, formatSize, formatTimeOfDay } from "../base/format.js";

/** Number of characters of a text message in its row. The style sheet cuts what does not fit. */
const MAX_TEXT = 300;

/** Number of bytes of a binary message in its row. */
const MAX_BYTES = 64;

const ARROWS = { sent: "↑", received: "↓", note: "•" };

/** Symbol and name of each verdict. */
export const VERDICTS = {
  identical: ["✓", "identical"],
  prefix: ["✓", "echoed with prefix"],
  differs: ["≠", "differs"],
  unanswered: ["∅", "no reply"],
};

/** Returns the verdict of an entry, or "" if it has none. */
export const verdictOf = (entry) => (entry.unanswered ? "unanswered" : (entry.verdict ?? ""));

/** Returns the row of an entry: a list item with a button. */
export function makeRow(entry) {
  const item = make("li", `entry ${entry.kind}${entry.bad ? " bad" : ""}`);
  const line = make("button", "line");
  line.type = "button";
  line.tabIndex = -1;
  line.setAttribute("aria-expanded", "false");
  const time = make("time", "", formatTimeOfDay(entry.at));
  const arrow = make("span", "arrow", ARROWS[entry.kind]);
  arrow.setAttribute("aria-hidden", "true");
  line.append(time, arrow);
  if (entry.kind === "note") {
    line.append(make("span", "what", noteText(entry)));
  } else {
    const direction = make("span", "unseen", entry.kind);
    const size = make("span", "size", formatSize(entry.size));
    const trip = make("span", "trip", typeof entry.rtt === "number" ? formatMilliseconds(entry.rtt) : "");
    line.append(direction, size, trip, make("span", "verdict"), make("span", "what", excerpt(entry)));
  }
  item.append(line);
  updateRow(item, entry);
  return item;
}

/** Shows what may change after the row was made: the verdict. */
export function updateRow(item, entry) {
  const cell = item.querySelector(".verdict");
  const verdict = verdictOf(entry);
  if (cell && verdict && cell.dataset.verdict !== verdict) {
    const [symbol, name] = VERDICTS[verdict];
    cell.dataset.verdict = verdict;
    cell.title = name;
    const sign = make("span", "", symbol);
    sign.setAttribute("aria-hidden", "true");
    cell.replaceChildren(sign, make("span", "unseen", name));
  }
}

/** Returns the text of an event of the connection. */
export const noteText = ({ name, text }) => (text ? `${name}: ${text}` : name);

/** Returns the beginning of a message, in one line. */
function excerpt({ data, size }) {
  if (typeof data === "string") {
    return data.slice(0, MAX_TEXT).replace(/\s+/g, " ") + (data.length > MAX_TEXT ? " …" : "");
  }
  return toHex(new Uint8Array(data, 0, Math.min(size, MAX_BYTES))) + (size > MAX_BYTES ? " …" : "");
}

/** Shows in the row whether its details are open. */
export function markOpen(item, isOpen) {
  item.firstElementChild.setAttribute("aria-expanded", String(isOpen));
  item.classList.toggle("open", isOpen);
}

