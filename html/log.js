// The log: every event is kept for a while, and the last ones are drawn, at most once a frame.
"use strict";

const Log = (() => {
  /** Events that are kept, for the filter, Copy and Export. */
  const KEPT = 5000;

  /** Rows that are drawn. */
  const ROWS = 200;

  /** New rows in one drawing that make it a flood: then only so many are drawn, about what is in sight. */
  const FLOOD = 40;

  /** Pause between two drawings in a flood, in milliseconds; nobody reads faster. */
  const FLOOD_PAUSE = 100;

  /** Quiet time after which a flood is over, and all rows are drawn, in milliseconds. */
  const CALM = 300;

  /** Characters and bytes of a message that are kept. */
  const LONGEST_TEXT = 1000;
  const LONGEST_BYTES = 64;

  /** How often the screen reader is told, in milliseconds. */
  const ANNOUNCE = 2000;

  const ARROWS = { sent: "↑", received: "↓", state: "•" };
  const VERDICTS = {
    same: "same bytes",
    "behind words": "echo behind words",
    differs: "not what was sent",
    unasked: "",
  };

  const list = element("log");
  let events = [];
  let total = 0;
  let undrawn = [];
  let drawing = false;
  let paused = false;
  let all = true;
  let calm = 0;
  let announced = 0;
  let unannounced = [];

  /** A line about the connection: its name and what there is to say. */
  function note(name, text, bad = false) {
    add({ at: performance.now(), direction: "state", kind: name, size: null, rtt: null, verdict: "", text, bad });
  }

  /** A message, in or out. */
  function message(direction, data, at, rtt = null, verdict = "") {
    const isText = typeof data === "string";
    const size = isText ? Format.utf8Length(data) : data.byteLength;
    // A view would keep the whole message alive. How it looks is worked out when it is looked at.
    const text = isText ? excerpt(data) : data.slice(0, LONGEST_BYTES + 1);
    const kind = isText ? "text" : "binary";
    add({ at, direction, kind, size, rtt, verdict, text, bad: verdict === "differs" });
  }

  /** What an event says, as text. */
  const wordsOf = ({ text }) => (typeof text === "string" ? text : Format.hex(new Uint8Array(text), LONGEST_BYTES));

  const excerpt = (text) => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)} …` : text);

  function add(event) {
    events.push(event);
    total += 1;
    if (events.length >= 2 * KEPT) {
      events = events.slice(-KEPT);
    }
    if (!paused) {
      undrawn.push(event);
      if (undrawn.length >= 2 * ROWS) {
        undrawn = undrawn.slice(-ROWS);
      }
      schedule();
    }
    if (event.direction !== "sent") {
      unannounced.push(event);
      unannounced.length = Math.min(unannounced.length, 2);
    }
  }

  function schedule() {
    if (!drawing) {
      drawing = true;
      requestAnimationFrame(draw);
    }
  }

  /** Draws what is new; everything, when the filter has changed. */
  function draw() {
    const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const flood = !all && undrawn.length > FLOOD;
    const source = all ? events.slice(-KEPT) : undrawn;
    const rows = source.filter(isShown).slice(flood ? -FLOOD : -ROWS);
    if (all || rows.length >= FLOOD) {
      list.replaceChildren(...rows.map(row));
    } else {
      list.append(...rows.map(row));
      while (list.childElementCount > ROWS) {
        list.firstElementChild.remove();
      }
    }
    if (flood) {
      clearTimeout(calm);
      calm = setTimeout(redraw, CALM);
    }
    all = false;
    undrawn = [];
    if (follow) {
      list.scrollTop = list.scrollHeight;
    }
    showCount();
    announce();
    setTimeout(
      () => {
        drawing = false;
        if (undrawn.length > 0 || all) {
          schedule();
        }
      },
      flood ? FLOOD_PAUSE : 0,
    );
  }

  function showCount() {
    const hidden = total > list.childElementCount ? `, the last ${Format.count(list.childElementCount)} shown` : "";
    element("log-count").textContent = total > 0 ? `${Format.count(total)}${hidden}${paused ? ", paused" : ""}` : "";
  }

  /** Tells the screen reader what has come, but not every message of many. */
  function announce() {
    const now = performance.now();
    if (unannounced.length === 0 || now - announced < ANNOUNCE) {
      return;
    }
    announced = now;
    const last = unannounced[unannounced.length - 1];
    element("announcer").textContent =
      unannounced.length > 1 ? "Several messages have come." : `${last.kind}: ${wordsOf(last).slice(0, 200)}`;
    unannounced = [];
  }

  const words = element("filter");
  const direction = element("filter-kind");

  function isShown(event) {
    const wanted = words.value.toLowerCase();
    return (
      (!direction.value || event.direction === direction.value) &&
      (!wanted || line(event).toLowerCase().includes(wanted))
    );
  }

  function row(event) {
    const made = make("li", `${event.direction}${event.bad ? " bad" : ""}`);
    const arrow = make("span", "arrow", ARROWS[event.direction]);
    arrow.setAttribute("aria-hidden", "true");
    const what = event.direction === "state" ? event.kind : `${event.direction} ${event.kind}`;
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
    made.append(arrow, make("time", "", Format.timeOfDay(event.at)), make("span", "name", what), facts, make("span", "what", wordsOf(event)));
    return made;
  }

  /** An event as a line of text. */
  function line(event) {
    const { direction: way, kind, size, rtt, verdict } = event;
    const parts = [Format.timeOfDay(event.at), way === "state" ? kind : `${way} ${kind}`];
    if (size !== null) {
      parts.push(Format.size(size));
    }
    if (rtt !== null) {
      parts.push(Format.milliseconds(rtt), VERDICTS[verdict]);
    }
    return `${parts.join("  ")}  ${wordsOf(event)}`;
  }

  /** What is kept and not filtered away, as lines. */
  const asText = () => events.slice(-KEPT).filter(isShown).map(line).join("\n");

  /** The same as JSON, an event a line. */
  function asJson() {
    const plain = (event) => ({
      time: new Date(performance.timeOrigin + event.at).toISOString(),
      direction: event.direction,
      kind: event.kind,
      ...(event.size !== null && { size: event.size }),
      ...(event.rtt !== null && { round_trip_ms: Number(event.rtt.toFixed(3)), verdict: event.verdict }),
      text: wordsOf(event),
    });
    return events.slice(-KEPT).filter(isShown).map((event) => `${JSON.stringify(plain(event))}\n`).join("");
  }

  function redraw() {
    all = true;
    undrawn = [];
    schedule();
  }

  words.addEventListener("input", redraw);
  direction.addEventListener("change", redraw);
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
