// The picture of the server, from what it tells once a second at /stats.
"use strict";

const Watch = (() => {
  /** Seconds that are shown. */
  const SPAN = 60;

  const chart = new Chart(element("server"), { unit: axisLabel });
  const button = element("watch");
  const state = element("watch-state");
  let socket = null;
  let seen = [];
  let changed = () => {};

  function axisLabel(rate) {
    return rate >= 1e6 ? `${rate / 1e6}M/s` : rate >= 1e3 ? `${rate / 1e3}k/s` : `${rate}/s`;
  }

  /** Who is told when watching begins or ends. */
  function listen(listener) {
    changed = listener;
  }

  function start(url) {
    const target = new URL("/stats", url).href;
    seen = [];
    socket = new WebSocket(target);
    state.textContent = `Connecting to ${target} …`;
    socket.onopen = () => {
      state.textContent = `Watching ${target}`;
    };
    socket.onmessage = (event) => take(event.data);
    socket.onclose = (event) => {
      state.textContent = `No longer watching. ${event.code}: ${Codes.inWords(event.code)}`;
      socket = null;
      show();
    };
    show();
  }

  function stop() {
    socket.close(1000);
  }

  function show() {
    button.setAttribute("aria-pressed", String(socket !== null));
    button.textContent = socket ? "Stop watching" : "Watch";
    element("server-picture").hidden = seen.length === 0 && !socket;
    changed(socket !== null);
  }

  function take(text) {
    let figures = null;
    try {
      figures = JSON.parse(text);
    } catch {
      // Another server may say anything here.
    }
    if (!figures?.rates || !figures.totals) {
      state.textContent = "This server does not tell at /stats what it does.";
      return;
    }
    seen.push({ at: performance.now() / 1000, ...figures });
    seen = seen.slice(-SPAN - 5);
    draw(figures);
  }

  function draw({ open, rates, totals, uptime_seconds: uptime }) {
    const now = performance.now() / 1000;
    const points = (of) => seen.map((figures) => [now - figures.at, of(figures)]);
    chart.show(
      [
        { name: "messages in", ink: "accent", points: points((figures) => figures.rates.messages_in) },
        { name: "out", ink: "warm", dashed: true, points: points((figures) => figures.rates.messages_out) },
      ],
      SPAN,
    );
    showFigures(element("server-figures"), [
      ["open", Format.count(open)],
      ["in", `${Format.count(rates.messages_in)}/s`],
      ["out", `${Format.count(rates.messages_out)}/s`],
      ["bytes in", `${Format.size(rates.bytes_in)}/s`],
      ["bytes out", `${Format.size(rates.bytes_out)}/s`],
      ["connections", Format.count(totals.accepted)],
      ["refused", Format.count(totals.refused)],
      ["cut", Format.count(totals.cut)],
      ["messages", Format.count(totals.messages_in)],
      ["up for", `${Format.count(uptime)} s`],
    ]);
  }

  /** Watches the server of that URL, or stops. */
  function toggle(url) {
    if (socket) {
      stop();
    } else {
      start(url);
    }
  }

  const isOn = () => socket !== null;

  return { listen, toggle, isOn };
})();
