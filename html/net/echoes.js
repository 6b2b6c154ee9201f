// Matches replies with sent messages: round-trip time, and whether all bytes are the same.

/** Maximum number of pending messages. Replies to further messages are unsolicited. */
const MAX_PENDING = 100000;

/** Maximum size of all pending messages together, in bytes. */
const MAX_BYTES = 64 << 20;

/** Number of pending messages that a reply is compared with, oldest first. Skipped messages got no reply. */
const SEARCH_DEPTH = 16;

/** Maximum length of a prefix of text replies, in characters. */
const MAX_PREFIX = 256;

/** Prefix that is assumed after an empty message, from which it cannot be learned. */
const USUAL_PREFIX = "Received: ";

const lengthOf = (data) => (typeof data === "string" ? data.length : data.byteLength);

export class PendingEchoes {
  constructor() {
    this.pending = [];
    this.head = 0;
    this.bytes = 0;
    // The prefix of text replies, learned from the first reply that has one.
    this.prefix = null;
  }

  /** Adds a sent message. `at` is in milliseconds. */
  sent(id, data, at) {
    const size = lengthOf(data);
    if (this.pending.length - this.head < MAX_PENDING && this.bytes + size <= MAX_BYTES) {
      this.pending.push({ id, data, at });
      this.bytes += size;
    }
  }

  /** Returns the number of pending messages. */
  get count() {
    return this.pending.length - this.head;
  }

  /**
   * Matches a received message. Returns the message it answers (`of`), the round-trip time (`rtt`, in milliseconds), the
   * verdict ("identical", "prefix" or "differs"; "" if it answers none), the prefix, for "differs" the expected data, and the
   * ids of skipped messages, which got no reply.
   */
  received(data, at) {
    const last = Math.min(this.pending.length, this.head + SEARCH_DEPTH);
    for (let i = this.head; i < last; i += 1) {
      const verdict = this.compare(this.pending[i].data, data);
      if (verdict) {
        return this.matched(i, at, verdict);
      }
    }
    if (this.count > 0 && this.looksCorrupted(this.pending[this.head].data, data)) {
      const expected = this.pending[this.head].data;
      const isText = typeof expected === "string";
      return { ...this.matched(this.head, at, "differs"), expected: isText ? (this.prefix ?? "") + expected : expected };
    }
    return { of: null, rtt: null, verdict: "", skipped: [] };
  }

  matched(index, at, verdict) {
    const { id, at: sentAt } = this.pending[index];
    const skipped = this.pending.slice(this.head, index).map((message) => message.id);
    this.advance(index + 1);
    return { of: id, rtt: at - sentAt, verdict, skipped, prefix: this.prefix };
  }

  /** Compares a reply with a message: "identical", "prefix" (the same after a prefix), or "" (neither). */
  compare(message, reply) {
    if (typeof message !== typeof reply) {
      return "";
    }
    if (typeof message !== "string") {
      return hasSameBytes(message, reply) ? "identical" : "";
    }
    if (message === reply) {
      return "identical";
    }
    const length = reply.length - message.length;
    if (this.prefix !== null) {
      const isEcho = length === this.prefix.length && reply.endsWith(message) && reply.startsWith(this.prefix);
      return isEcho ? "prefix" : "";
    }
    const isEcho = message ? length > 0 && length <= MAX_PREFIX && reply.endsWith(message) : reply === USUAL_PREFIX;
    if (isEcho) {
      this.prefix = reply.slice(0, length);
    }
    return isEcho ? "prefix" : "";
  }

  /** Returns whether a reply is likely a changed echo: the same kind and size. */
  looksCorrupted(message, reply) {
    const added = typeof message === "string" ? (this.prefix ?? "").length : 0;
    return typeof message === typeof reply && lengthOf(message) + added === lengthOf(reply);
  }

  /** Removes all pending messages and returns their ids. */
  drain() {
    const ids = this.pending.slice(this.head).map((message) => message.id);
    this.pending = [];
    this.head = 0;
    this.bytes = 0;
    return ids;
  }

  /** Removes the messages before an index. Compacts the array when more than half of it is unused. */
  advance(to) {
    for (; this.head < to; this.head += 1) {
      this.bytes -= lengthOf(this.pending[this.head].data);
      this.pending[this.head] = null;
    }
    if (this.head > 1024 && this.head * 2 > this.pending.length) {
      this.pending = this.pending.slice(this.head);
      this.head = 0;
    }
  }
}

/** Returns whether two binary messages are the same. Compares four bytes at a time. */
function hasSameBytes(left, right) {
  if (left.byteLength !== right.byteLength) {
    return false;
  }
  const words = left.byteLength >> 2;
  const a = new Uint32Array(left, 0, words);
  const b = new Uint32Array(right, 0, words);
  for (let i = 0; i < words; i += 1) {
    if (a[i] !== b[i]) {
      return false;
    }
  }
  const leftRest = new Uint8Array(left, words << 2);
  const rightRest = new Uint8Array(right, words << 2);
  return leftRest.every((byte, i) => byte === rightRest[i]);
}
