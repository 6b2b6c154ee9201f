// Sends single messages, repeated messages and bursts.
"use strict";

const Traffic = (() => {
  /** Bytes that the browser may buffer before a burst pauses. */
  const MAX_BUFFERED = 4 << 20;

  /** Longest time that a slice of a burst blocks the page, in milliseconds. */
  const SLICE = 8;

  /** A burst ends if no reply comes for this long, in milliseconds. */
  const REPLY_TIMEOUT = 5000;

  const repeat = element("repeat");
  const burst = element("burst");
  const result = element("burst-result");
  let repeating = 0;
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
      stopRepeating();
    }
  }

  function stopRepeating() {
    clearInterval(repeating);
    repeating = 0;
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
    if (repeating) {
      stopRepeating();
      return;
    }
    repeating = setInterval(sendForm, numberOf(element("every")));
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
      filling: "x".repeat(numberOf(element("burst-size"))),
      sent: 0,
      back: 0,
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
      send((number + running.filling).slice(0, Math.max(running.filling.length, 0)));
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
    running.back += verdict === "same" || verdict === "behind words" ? 1 : 0;
    running.wrong += verdict === "differs" ? 1 : 0;
    if (running.back + running.wrong === running.count) {
      finish("");
    }
  }

  function finish(words) {
    const { sent, back, wrong, since, lastReply: last } = running;
    const took = Math.max(last - since, 1);
    const parts = [
      `${Format.count(sent)} sent, ${Format.count(back)} came back byte for byte`,
      wrong > 0 ? `${Format.count(wrong)} were changed` : "",
      `in ${Format.milliseconds(took)}: ${Format.count((back / took) * 1000)} a second`,
      words,
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
      stopRepeating();
      if (running) {
        finish("the connection ended");
      }
    }
  }

  return { sendForm, onReply, setOpen };
})();
