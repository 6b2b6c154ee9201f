// The log of events. Keeps the newest events and draws the newest of them, at most once a frame.
"use strict";

const Log = (() => {
  /** Number of events that the filter, Copy and Export use. */
  const MAX_EVENTS = 5000;

  /** Number of rows that are shown. */
  const MAX_ROWS = 200;

  /** More new events than this in one drawing are a flood. A flood draws this many rows, about what is visible. */
  const FLOOD_ROWS = 40;

  /** Interval between two drawings in a flood, in milliseconds. */
  const FLOOD_INTERVAL = 100;

  /** A flood ends this long after its last drawing, in milliseconds. Then all rows are drawn. */
  const FLOOD_END_DELAY = 300;

  /** Number of characters of a text message that are kept. */
  const MAX_TEXT = 1000;

  /** Number of bytes of a binary message that are kept. */
  const MAX_BYTES = 64;

  /** Shortest interval between two announcements for screen readers, in milliseconds. */
  const ANNOUNCE_INTERVAL = 2000;

  const ARROWS = { sent: "↑", received: "↓", state: "•" };
  const VERDICTS = {
    same: "same bytes",
    "behind words": "echo behind words",
    differs: "not what was sent",
    unsolicited: "",
  };

  const list = element("log");
  let events = [];
  let total = 0;
  let undrawn = [];
  let drawing = false;
  let paused = false;
  let drawAll = true;
  let floodEndTimer = 0;
  let lastAnnouncement = 0;
  let unannounced = [];

  /** Adds an event of the connection: its name and a text. */
  function note(name, text, bad = false) {
    add({ at: performance.now(), direction: "state", kind: name, size: null, rtt: null, verdict: "", text, bad });
  }

  /** Adds a message that was sent or received. */
  function message(direction, data, at, rtt = null, verdict = "") {
    const isText = typeof data === "string";
    const size = isText ? Format.utf8Length(data) : data.byteLength;
    // A copy: a view would keep the whole message in memory. It is formatted when it is shown.
    const text = isText ? excerpt(data) : data.slice(0, MAX_BYTES + 1);
    const kind = isText ? "text" : "binary";
    add({ at, direction, kind, size, rtt, verdict, text, bad: verdict === "differs" });
  }

  /** Returns the text of an event. */
  const textOf = ({ text }) => (typeof text === "string" ? text : Format.hex(new Uint8Array(text), MAX_BYTES));

  const excerpt = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} …` : text);

  function add(event) {
    events.push(event);
    total += 1;
    if (events.length >= 2 * MAX_EVENTS) {
      events = events.slice(-MAX_EVENTS);
    }
    if (!paused) {
      undrawn.push(event);
      if (undrawn.length >= 2 * MAX_ROWS) {
        undrawn = undrawn.slice(-MAX_ROWS);
      }
      schedule();
    }
    if (event.direction !== "sent") {
      unannounced.push(event);
      unannounced.length = Math.min(unannounced.length, 2);
    }
  }

  /** Draws before the next frame. */
  function schedule() {
    if (!drawing) {
      drawing = true;
      requestAnimationFrame(draw);
    }
  }

  /** Draws the new events, or all events after the filter has changed. */
  function draw() {
    const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const flood = !drawAll && undrawn.length > FLOOD_ROWS;
    const source = drawAll ? events.slice(-MAX_EVENTS) : undrawn;
    const rows = source.filter(matches).slice(flood ? -FLOOD_ROWS : -MAX_ROWS);
    if (drawAll || rows.length >= FLOOD_ROWS) {
      list.replaceChildren(...rows.map(row));
    } else {
      list.append(...rows.map(row));
      while (list.childElementCount > MAX_ROWS) {
        list.firstElementChild.remove();
      }
    }
    if (flood) {
      clearTimeout(floodEndTimer);
      floodEndTimer = setTimeout(redraw, FLOOD_END_DELAY);
    }
    drawAll = false;
    undrawn = [];
    if (follow) {
      list.scrollTop = list.scrollHeight;
    }
    showCount();
    announce();
    setTimeout(
      () => {
        drawing = false;
        if (undrawn.length > 0 || drawAll) {
          schedule();
        }
      },
      flood ? FLOOD_INTERVAL : 0,
    );
  }

  function showCount() {
    const hidden = total > list.childElementCount ? `, the last ${Format.count(list.childElementCount)} shown` : "";
    element("log-count").textContent = total > 0 ? `${Format.count(total)}${hidden}${paused ? ", paused" : ""}` : "";
  }

  /** Announces new events to screen readers. Several events are one announcement. */
  function announce() {
    const now = performance.now();
    if (unannounced.length === 0 || now - lastAnnouncement < ANNOUNCE_INTERVAL) {
      return;
    }
    lastAnnouncement = now;
    const last = unannounced[unannounced.length - 1];
    element("announcer").textContent =
      unannounced.length > 1 ? "Several messages have come." : `${last.kind}: ${textOf(last).slice(0, 200)}`;
    unannounced = [];
  }

  const filterText = element("filter");
  const filterDirection = element("filter-kind");

  /** Returns whether an event matches the filter. */
  function matches(event) {
    const wantedText = filterText.value.toLowerCase();
    return (
      (!filterDirection.value || event.direction === filterDirection.value) &&
      (!wantedText || line(event).toLowerCase().includes(wantedText))
    );
  }

  function row(event) {
    const item = make("li", `${event.direction}${event.bad ? " bad" : ""}`);
    const arrow = make("span", "arrow", ARROWS[event.direction]);
    arrow.setAttribute("aria-hidden", "true");
    const name = event.direction === "state" ? event.kind : `${event.direction} ${event.kind}`;
    const facts = make("span", "facts");
    if (event.size !== null) {
      facts.append(make("span", "size", Format.size(event.size)));
    }
    if (event.rtt !== null) {
      facts.append(make("span", "trip", Format.milliseconds(event.rtt)));
    }
    if (VERDICTS[event.verdict]) {
      facts.append(make("span", `verdict ${event.bad ? "" : "good"}`, VERDICTS[event.verdict]));
    }
    item.append(arrow, make("time", "", Format.timeOfDay(event.at)), make("span", "name", name), facts, make("span", "what", textOf(event)));
    return item;
  }

  /** Returns an event as a line of text. */
  function line(event) {
    const { direction, kind, size, rtt, verdict } = event;
    const parts = [Format.timeOfDay(event.at), direction === "state" ? kind : `${direction} ${kind}`];
    if (size !== null) {
      parts.push(Format.size(size));
    }
    if (rtt !== null) {
      parts.push(Format.milliseconds(rtt), VERDICTS[verdict]);
    }
    return `${parts.join("  ")}  ${textOf(event)}`;
  }

  /** Returns the kept events that match the filter, as lines of text. */
  const asText = () => events.slice(-MAX_EVENTS).filter(matches).map(line).join("\n");

  /** Returns the same events as JSON, one event in a line. */
  function asJson() {
    const toJson = (event) => ({
      time: new Date(performance.timeOrigin + event.at).toISOString(),
      direction: event.direction,
      kind: event.kind,
      ...(event.size !== null && { size: event.size }),
      ...(event.rtt !== null && { round_trip_ms: Number(event.rtt.toFixed(3)), verdict: event.verdict }),
      text: textOf(event),
    });
    return events.slice(-MAX_EVENTS).filter(matches).map((event) => `${JSON.stringify(toJson(event))}\n`).join("");
  }

  function redraw() {
    drawAll = true;
    undrawn = [];
    schedule();
  }

  filterText.addEventListener("input", redraw);
  filterDirection.addEventListener("change", redraw);
  element("pause").addEventListener("click", (event) => {
    paused = !paused;
    event.currentTarget.setAttribute("aria-pressed", String(paused));
    if (paused) {
      undrawn = [];
      showCount();
    } else {
      redraw();
    }
  });
  element("clear").addEventListener("click", () => {
    events = [];
    total = 0;
    redraw();
  });
  element("copy").addEventListener("click", (event) => copyText(asText(), event.currentTarget));
  element("export").addEventListener("click", () => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([asJson()], { type: "application/x-ndjson" }));
    link.download = "websocket-events.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  return { note, message };
})();
