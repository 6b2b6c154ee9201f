// Which entries of the log are shown.
import { toHex } from "../base/bytes.js";

/** Number of bytes of a binary message that a search looks at. */
const MAX_BYTES = 1024;

/** The kinds of entries that can be chosen. */
export const CHOICES = {
  "": "All events",
  sent: "Sent",
  received: "Received",
  note: "Connection",
  differs: "Differs",
  unanswered: "No reply",
};

/** Returns a function that tells whether an entry matches a text and a choice. */
export function filterOf(text, choice) {
  const wanted = text.toLowerCase();
  return (entry) => isChosen(entry, choice) && (!wanted || searchText(entry).toLowerCase().includes(wanted));
}

function isChosen(entry, choice) {
  switch (choice) {
    case "":
      return true;
    case "differs":
      return entry.verdict === "differs";
    case "unanswered":
      return entry.unanswered === true;
    default:
      return entry.kind === choice;
  }
}

function searchText(entry) {
  if (entry.kind === "note") {
    return `${entry.name} ${entry.text}`;
  }
  return typeof entry.data === "string" ? entry.data : toHex(new Uint8Array(entry.data, 0, Math.min(entry.size, MAX_BYTES)));
}
