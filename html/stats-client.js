// Shows the figures that the server sends on /stats once a second.
"use strict";

const StatsClient = (() => {
  /** Seconds that the chart shows. */
  const SPAN = 60;

  const chart = new Chart(element("server"), { formatValue: axisLabel });
  const button = element("watch");
  const state = element("watch-state");
  let socket = null;
  let samples = [];
  let onChange = () => {};

  function axisLabel(rate) {
    return rate >= 1e6 ? `${rate / 1e6}M/s` : rate >= 1e3 ? `${rate / 1e3}k/s` : `${rate}/s`;
  }

  /** Sets the function to call when watching starts or ends. */
  function listen(listener) {
    onChange = listener;
  }

  function start(url) {
    const target = new URL("/stats", url).href;
    samples = [];
    socket = new WebSocket(target);
    state.textContent = `Connecting to ${target} …`;
    socket.onopen = () => {
      state.textContent = `Watching ${target}`;
    };
    socket.onmessage = (event) => onFigures(event.data);
    socket.onclose = (event) => {
      state.textContent = `No longer watching. ${event.code}: ${Codes.meaningOf(event.code)}`;
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
    element("server-picture").hidden = samples.length === 0 && !socket;
    onChange(socket !== null);
  }

  function onFigures(text) {
    let figures = null;
    try {
      figures = JSON.parse(text);
    } catch {
      // Another server may send text that is not JSON.
    }
    if (!figures?.rates || !figures.totals) {
      state.textContent = "This server has no statistics at /stats.";
      return;
    }
    samples.push({ at: performance.now() / 1000, ...figures });
    samples = samples.slice(-SPAN - 5);
    draw(figures);
  }

  function draw({ open, rates, totals, uptime_seconds: uptime }) {
    const now = performance.now() / 1000;
    const points = (select) => samples.map((figures) => [now - figures.at, select(figures)]);
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

  /** Starts or stops watching the server of a URL. */
  function toggle(url) {
    if (socket) {
      stop();
    } else {
      start(url);
    }
  }

  /** Returns whether a connection to /stats exists. */
  const isOn = () => socket !== null;

  return { listen, toggle, isOn };
})();
