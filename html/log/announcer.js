// Tells screen readers of new events. Several events are one announcement.
import { element } from "../base/dom.js";
import { formatNumberOf } from "../base/format.js";
import { noteText } from "./row.js";

/** Shortest interval between two announcements, in milliseconds. */
const INTERVAL = 2000;

/** Number of characters of a message that are announced. */
const MAX_TEXT = 200;

export class Announcer {
  constructor() {
    this.last = null;
    this.count = 0;
    this.timer = 0;
  }

  /** Adds an entry. What was sent is not announced. */
  add(entry) {
    if (!entry || entry.kind === "sent") {
      return;
    }
    this.last = entry;
    this.count += 1;
    if (!this.timer) {
      this.announce();
      this.timer = setTimeout(() => {
        this.timer = 0;
        if (this.count > 0) {
          this.announce();
        }
      }, INTERVAL);
    }
  }

  announce() {
    element("announcer").textContent = this.count > 1 ? formatNumberOf(this.count, "new event") : textOf(this.last);
    this.last = null;
    this.count = 0;
  }
}

function textOf(entry) {
  if (entry.kind === "note") {
    return noteText(entry);
  }
  return typeof entry.data === "string" ? `received: ${entry.data.slice(0, MAX_TEXT)}` : "received: binary message";
}
