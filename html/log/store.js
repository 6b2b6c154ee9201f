// The events of a connection. Keeps the newest messages with their payloads, and the events of the connection.
import { sizeOf } from "../base/bytes.js";

/** Number of messages that are kept. */
const MAX_MESSAGES = 20000;

/** Messages are dropped in groups of this size: to drop one costs as much as to drop many. */
const DROP_GROUP = 2000;

/** Size of the payloads that are kept, in bytes. */
const MAX_BYTES = 64 << 20;

/** Number of events of the connection that are kept. */
const MAX_NOTES = 1000;

export class LogStore {
  constructor() {
    this.lastNumber = 0;
    this.clear();
  }

  clear() {
    this.entries = [];
    this.bySentId = new Map();
    this.bytes = 0;
    this.notes = 0;
    this.messages = 0;
    this.counts = { sent: 0, received: 0, identical: 0, prefix: 0, differs: 0, unanswered: 0, dropped: 0 };
    // Changes when entries were removed, so that a view starts anew.
    this.generation = (this.generation ?? 0) + 1;
  }

  /** Adds an event of the connection. `bad` marks a failure. */
  addNote(at, name, text, { bad = false, url = "", code = null, reason = "" } = {}) {
    this.notes += 1;
    this.append({ kind: "note", at, name, text, bad, url, code, reason });
    if (this.notes > MAX_NOTES) {
      this.drop((entry) => entry.kind === "note", MAX_NOTES / 10);
      this.notes -= MAX_NOTES / 10;
    }
  }

  /** Adds a sent message. */
  addSent({ id, at, data, url }) {
    this.counts.sent += 1;
    const entry = this.addMessage({ kind: "sent", at, data, url, answered: false, unanswered: false });
    this.bySentId.set(id, entry);
    entry.id = id;
  }

  /** Adds a received message. Marks the message it answers, and those that were skipped. */
  addReceived({ at, data, url, of, rtt, verdict, prefix = "", expected = null, skipped }) {
    this.counts.received += 1;
    if (verdict) {
      this.counts[verdict] += 1;
      const sent = this.bySentId.get(of);
      if (sent) {
        sent.answered = true;
        this.bySentId.delete(of);
      }
    }
    this.markUnanswered(skipped);
    this.addMessage({ kind: "received", at, data, url, rtt, verdict, prefix, expected, bad: verdict === "differs" });
  }

  /** Marks sent messages that got no reply. */
  markUnanswered(ids) {
    this.counts.unanswered += ids.length;
    for (const id of ids) {
      const sent = this.bySentId.get(id);
      if (sent) {
        sent.unanswered = true;
        this.bySentId.delete(id);
      }
    }
  }

  addMessage(entry) {
    entry.size = sizeOf(entry.data);
    this.messages += 1;
    this.bytes += entry.size;
    this.append(entry);
    if (this.messages >= MAX_MESSAGES + DROP_GROUP || this.bytes > MAX_BYTES) {
      const count = this.messages >= MAX_MESSAGES + DROP_GROUP ? DROP_GROUP : this.countOver(MAX_BYTES / 2);
      this.drop((candidate) => candidate.kind !== "note" && candidate !== entry, count);
    }
    return entry;
  }

  /** Returns how many of the oldest messages to drop so that the payloads fit into `limit` bytes. */
  countOver(limit) {
    let count = 0;
    let left = this.bytes;
    for (const entry of this.entries) {
      if (left <= limit) {
        break;
      }
      if (entry.kind !== "note") {
        left -= entry.size;
        count += 1;
      }
    }
    return count;
  }

  append(entry) {
    this.lastNumber += 1;
    entry.number = this.lastNumber;
    this.entries.push(entry);
  }

  /** Removes the oldest `count` entries that match. */
  drop(matches, count) {
    let left = count;
    this.entries = this.entries.filter((entry) => {
      if (left === 0 || !matches(entry)) {
        return true;
      }
      left -= 1;
      if (entry.kind !== "note") {
        this.messages -= 1;
        this.bytes -= entry.size;
        this.counts.dropped += 1;
        this.bySentId.delete(entry.id);
      }
      return false;
    });
    this.generation += 1;
  }
}
