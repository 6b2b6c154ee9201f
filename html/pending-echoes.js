// Matches replies with sent messages: round rtt time, and whether every byte came back.
"use strict";

const PendingEchoes = (() => {
  /** Most messages that may be pending. Replies to more are unsolicited. */
  const MAX_PENDING = 100000;

  /** Most bytes of pending messages. */
  const MAX_BYTES = 64 << 20;

  /** How many pending messages a reply is compared with, oldest first. Skipped ones got no reply. */
  const SEARCH_DEPTH = 16;

  let waiting = [];
  let head = 0;
  let bytes = 0;

  const sizeOf = (data) => (typeof data === "string" ? data.length : data.byteLength);

  /** Forgets all pending messages. */
  function reset() {
    waiting = [];
    head = 0;
    bytes = 0;
  }

  /** Adds a sent message. */
  function sent(data, at) {
    const size = sizeOf(data);
    if (waiting.length - head < MAX_PENDING && bytes + size <= MAX_BYTES) {
      waiting.push({ data, at });
      bytes += size;
    }
  }

  /** Compares two binary messages, four bytes at a time. */
  function sameBytes(one, other) {
    if (one.byteLength !== other.byteLength) {
      return false;
    }
    const words = one.byteLength >> 2;
    const a = new Uint32Array(one, 0, words);
    const b = new Uint32Array(other, 0, words);
    for (let i = 0; i < words; i += 1) {
      if (a[i] !== b[i]) {
        return false;
      }
    }
    const restOfOne = new Uint8Array(one, words << 2);
    const restOfOther = new Uint8Array(other, words << 2);
    return restOfOne.every((byte, i) => byte === restOfOther[i]);
  }

  /** Compares a reply with a message: "same", "behind words" (after a prefix), or "" (neither). */
  function compare(message, reply) {
    if (typeof message !== typeof reply) {
      return "";
    }
    if (typeof message !== "string") {
      return sameBytes(message, reply) ? "same" : "";
    }
    if (message === reply) {
      return "same";
    }
    const longer = reply.length - message.length;
    const behind = message ? longer > 0 && longer <= 64 && reply.endsWith(message) : reply === "Received: ";
    return behind ? "behind words" : "";
  }

  /** Matches a received message. `rtt` is in milliseconds, or null if no pending message matches. */
  function received(data, at) {
    const last = Math.min(waiting.length, head + SEARCH_DEPTH);
    for (let i = head; i < last; i += 1) {
      const verdict = compare(waiting[i].data, data);
      if (verdict) {
        const rtt = at - waiting[i].at;
        advance(i + 1);
        return { rtt, verdict };
      }
    }
    if (head < waiting.length && looksCorrupted(waiting[head].data, data)) {
      const rtt = at - waiting[head].at;
      advance(head + 1);
      return { rtt, verdict: "differs" };
    }
    return { rtt: null, verdict: "unasked" };
  }

  /** Whether a reply looks like a corrupted echo. */
  function looksCorrupted(message, reply) {
    return typeof message === typeof reply && sizeOf(message) === sizeOf(reply);
  }

  /** Forgets the messages before an index. Compacts the array when more than half of it is unused. */
  function advance(to) {
    for (; head < to; head += 1) {
      bytes -= sizeOf(waiting[head].data);
      waiting[head] = null;
    }
    if (head > 1024 && head * 2 > waiting.length) {
      waiting = waiting.slice(head);
      head = 0;
    }
  }

  return { reset, sent, received };
})();
