// Everything that goes out: single messages, repeated ones, and bursts.
"use strict";

const Traffic = (() => {
  /** Bytes that may wait in the browser before a burst holds its breath. */
  const MOST_BUFFERED = 4 << 20;

  /** How long a burst may keep the page from drawing, in milliseconds. */
  const SLICE = 8;

  /** How soon a burst is given up when nothing comes back any more, in milliseconds. */
  const PATIENCE = 5000;

  const repeat = element("repeat");
  const burst = element("burst");
  const result = element("burst-result");
  let repeating = 0;
  let running = null;

  /** Sends one message, if there is a connection. */
  function send(data) {
    if (!Connection.isOpen()) {
      return;
    }
    const at = performance.now();
    Echoes.sent(data, at);
    Connection.send(data);
    Log.message("sent", data, at);
  }

  /** Sends what stands in the form. */
  async function sendForm() {
    try {
      send(await Payload.read());
      Payload.complain("");
    } catch (error) {
      Payload.complain(error.message);
      stopRepeating();
    }
  }

  function stopRepeating() {
    clearInterval(repeating);
    repeating = 0;
    repeat.setAttribute("aria-pressed", "false");
    repeat.textContent = "Repeat";
  }

  /** A number from a field, within the field's bounds. */
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
      heard: now,
    };
    burst.textContent = "Stop burst";
    result.textContent = "Sending …";
    goOn();
  });

  /** Sends for a moment, and then lets the page breathe. */
  function goOn() {
    if (!running) {
      return;
    }
    const until = performance.now() + SLICE;
    while (running.sent < running.count && performance.now() < until && Connection.buffered() < MOST_BUFFERED) {
      const number = `${running.sent + 1} `;
      send((number + running.filling).slice(0, Math.max(running.filling.length, 0)));
      running.sent += 1;
    }
    if (running.sent === running.count && performance.now() - running.heard > PATIENCE) {
      finish("the rest did not come back");
    } else {
      setTimeout(goOn, running.sent < running.count ? 0 : 100);
    }
  }

  /** A message came back, or came by itself. */
  function heard(verdict) {
    if (!running) {
      return;
    }
    running.heard = performance.now();
    running.back += verdict === "same" || verdict === "behind words" ? 1 : 0;
    running.wrong += verdict === "differs" ? 1 : 0;
    if (running.back + running.wrong === running.count) {
      finish("");
    }
  }

  function finish(words) {
    const { sent, back, wrong, since, heard: last } = running;
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

  /** There is a connection now, or there is none. */
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

  return { sendForm, heard, setOpen };
})();
