// Sends single messages, repeated messages and bursts.
"use strict";

const Traffic = (() => {
  /** A burst pauses while the browser buffers more bytes than this. */
  const MAX_BUFFERED = 4 << 20;

  /** Longest time that a slice of a burst blocks the page, in milliseconds. */
  const SLICE = 8;

  /** A burst ends if no reply arrives for this long, in milliseconds. */
  const REPLY_TIMEOUT = 5000;

  const repeat = element("repeat");
  const burst = element("burst");
  const result = element("burst-result");
  let repeatTimer = 0;
  let running = null;

  /** Sends one message, if the connection is open. */
  function send(data) {
    if (!Connection.isOpen()) {
      return;
    }
    const at = performance.now();
    PendingEchoes.sent(data, at);
    Connection.send(data);
    Log.message("sent", data, at);
  }

  /** Sends the message of the form. */
  async function sendForm() {
    try {
      send(await Payload.read());
      Payload.showError("");
    } catch (error) {
      Payload.showError(error.message);
      stopRepeat();
    }
  }

  function stopRepeat() {
    clearInterval(repeatTimer);
    repeatTimer = 0;
    repeat.setAttribute("aria-pressed", "false");
    repeat.textContent = "Repeat";
  }

  /** Reads a number from a field and limits it to the field's range. */
  function numberOf(field) {
    const value = Math.round(Number(field.value)) || 0;
    field.value = String(Math.min(Math.max(value, Number(field.min)), Number(field.max)));
    return Number(field.value);
  }

  repeat.addEventListener("click", () => {
    if (repeatTimer) {
      stopRepeat();
      return;
    }
    repeatTimer = setInterval(sendForm, numberOf(element("every")));
    repeat.setAttribute("aria-pressed", "true");
    repeat.textContent = "Stop repeating";
    sendForm();
  });

  burst.addEventListener("click", () => {
    if (running) {
      finish("stopped");
      return;
    }
    const now = performance.now();
    running = {
      count: numberOf(element("burst-count")),
      filler: "x".repeat(numberOf(element("burst-size"))),
      sent: 0,
      valid: 0,
      wrong: 0,
      since: now,
      lastReply: now,
    };
    burst.textContent = "Stop burst";
    result.textContent = "Sending …";
    sendSlice();
  });

  /** Sends messages for one slice of time, then schedules the next slice. */
  function sendSlice() {
    if (!running) {
      return;
    }
    const until = performance.now() + SLICE;
    while (running.sent < running.count && performance.now() < until && Connection.buffered() < MAX_BUFFERED) {
      const number = `${running.sent + 1} `;
      send((number + running.filler).slice(0, Math.max(running.filler.length, 0)));
      running.sent += 1;
    }
    if (running.sent === running.count && performance.now() - running.lastReply > REPLY_TIMEOUT) {
      finish("the rest did not come back");
    } else {
      setTimeout(sendSlice, running.sent < running.count ? 0 : 100);
    }
  }

  /** Counts a received message of a burst. */
  function onReply(verdict) {
    if (!running) {
      return;
    }
    running.lastReply = performance.now();
    running.valid += verdict === "same" || verdict === "behind words" ? 1 : 0;
    running.wrong += verdict === "differs" ? 1 : 0;
    if (running.valid + running.wrong === running.count) {
      finish("");
    }
  }

  /** Ends a burst and shows its result, followed by a note. */
  function finish(note) {
    const { sent, valid, wrong, since, lastReply: last } = running;
    const took = Math.max(last - since, 1);
    const parts = [
      `${Format.count(sent)} sent, ${Format.count(valid)} came back byte for byte`,
      wrong > 0 ? `${Format.count(wrong)} were changed` : "",
      `in ${Format.milliseconds(took)}: ${Format.count((valid / took) * 1000)} a second`,
      note,
    ];
    result.textContent = parts.filter(Boolean).join(", ").replace(", in", " in");
    running = null;
    burst.textContent = "Send burst";
  }

  /** Enables or disables sending. */
  function setOpen(open) {
    element("send").disabled = !open;
    repeat.disabled = !open;
    burst.disabled = !open;
    if (!open) {
      stopRepeat();
      if (running) {
        finish("the connection ended");
      }
    }
  }

  return { sendForm, onReply, setOpen };
})();
