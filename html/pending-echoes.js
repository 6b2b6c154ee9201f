// Matches replies with sent messages: round-trip time, and whether all bytes are the same.
"use strict";

const PendingEchoes = (() => {
  /** Maximum number of pending messages. Replies to further messages are unsolicited. */
  const MAX_PENDING = 100000;

  /** Maximum size of all pending messages together, in bytes. */
  const MAX_BYTES = 64 << 20;

  /** Number of pending messages that a reply is compared with, oldest first. Skipped messages got no reply. */
  const SEARCH_DEPTH = 16;

  let pending = [];
  let head = 0;
  let bytes = 0;

  const sizeOf = (data) => (typeof data === "string" ? data.length : data.byteLength);

  /** Removes all pending messages. */
  function reset() {
    pending = [];
    head = 0;
    bytes = 0;
  }

  /** Adds a sent message. */
  function sent(data, at) {
    const size = sizeOf(data);
    if (pending.length - head < MAX_PENDING && bytes + size <= MAX_BYTES) {
      pending.push({ data, at });
      bytes += size;
    }
  }

  /** Returns whether two binary messages are the same. Compares four bytes at a time. */
  function sameBytes(left, right) {
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
    const prefixLength = reply.length - message.length;
    const hasPrefix = message ? prefixLength > 0 && prefixLength <= 64 && reply.endsWith(message) : reply === "Received: ";
    return hasPrefix ? "behind words" : "";
  }

  /** Matches a received message. `rtt` is in milliseconds, or null if no pending message matches. */
  function received(data, at) {
    const last = Math.min(pending.length, head + SEARCH_DEPTH);
    for (let i = head; i < last; i += 1) {
      const verdict = compare(pending[i].data, data);
      if (verdict) {
        const rtt = at - pending[i].at;
        advance(i + 1);
        return { rtt, verdict };
      }
    }
    if (head < pending.length && looksCorrupted(pending[head].data, data)) {
      const rtt = at - pending[head].at;
      advance(head + 1);
      return { rtt, verdict: "differs" };
    }
    return { rtt: null, verdict: "unsolicited" };
  }

  /** Returns whether a reply is likely a corrupted echo: the same kind and size. */
  function looksCorrupted(message, reply) {
    return typeof message === typeof reply && sizeOf(message) === sizeOf(reply);
  }

  /** Removes the messages before an index. Compacts the array when more than half of it is unused. */
  function advance(to) {
    for (; head < to; head += 1) {
      bytes -= sizeOf(pending[head].data);
      pending[head] = null;
    }
    if (head > 1024 && head * 2 > pending.length) {
      pending = pending.slice(head);
      head = 0;
    }
  }

  return { reset, sent, received };
})();
