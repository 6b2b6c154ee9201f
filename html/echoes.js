// Which reply belongs to which message, how long it took, and whether every byte came back.
"use strict";

const Echoes = (() => {
  /** Messages that wait for their echo at most; of those beyond, no echo is known. */
  const MOST = 100000;

  /** Bytes of them that are remembered at most. */
  const MOST_BYTES = 64 << 20;

  /** How far behind the oldest message an echo is looked for: those before it were not answered. */
  const AHEAD = 16;

  let waiting = [];
  let head = 0;
  let bytes = 0;

  const sizeOf = (data) => (typeof data === "string" ? data.length : data.byteLength);

  /** Nothing that was sent before will be answered. */
  function reset() {
    waiting = [];
    head = 0;
    bytes = 0;
  }

  /** A message goes out. */
  function sent(data, at) {
    const size = sizeOf(data);
    if (waiting.length - head < MOST && bytes + size <= MOST_BYTES) {
      waiting.push({ data, at });
      bytes += size;
    }
  }

  /** Whether two binary messages are the same, four bytes at a time. */
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

  /** How a reply compares with a message: "same", "behind words", or nothing. */
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

  /** A message has come: what it answers. `trip` is null when it answers nothing. */
  function received(data, at) {
    const last = Math.min(waiting.length, head + AHEAD);
    for (let i = head; i < last; i += 1) {
      const verdict = compare(waiting[i].data, data);
      if (verdict) {
        const trip = at - waiting[i].at;
        advance(i + 1);
        return { trip, verdict };
      }
    }
    if (head < waiting.length && resembles(waiting[head].data, data)) {
      const trip = at - waiting[head].at;
      advance(head + 1);
      return { trip, verdict: "differs" };
    }
    return { trip: null, verdict: "unasked" };
  }

  /** Whether a reply looks like an echo that was damaged on its way. */
  function resembles(message, reply) {
    return typeof message === typeof reply && sizeOf(message) === sizeOf(reply);
  }

  /** Forgets the messages before that place; what is behind moves forward now and then. */
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
