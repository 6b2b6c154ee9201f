// The picture of the round trips: for each tenth of a second the middle one and the slow ones.
"use strict";

const Trips = (() => {
  /** Seconds that are shown, and how many parts each has. */
  const SPAN = 30;
  const PARTS = 10;

  /** Round trips of one part that are kept: enough for a p99. */
  const SAMPLES = 500;

  /** Round trips over which the figures go. */
  const RECENT = 10000;

  /** How often it is drawn, in milliseconds. */
  const REDRAW = 250;

  const chart = new Chart(element("trips"), { unit: axisLabel, logarithmic: true });
  const recent = new Float64Array(RECENT);
  let count = 0;
  let parts = [];
  let changed = true;

  function axisLabel(ms) {
    return ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(1))} ms`;
  }

  /** A message came back after `trip` milliseconds. */
  function add(trip, at) {
    recent[count % RECENT] = trip;
    count += 1;
    changed = true;
    const number = Math.floor((at / 1000) * PARTS);
    let part = parts[parts.length - 1];
    if (!part || part.number !== number) {
      part = { number, trips: [], seen: 0 };
      parts.push(part);
    }
    part.seen += 1;
    if (part.trips.length < SAMPLES) {
      part.trips.push(trip);
    } else if (Math.random() < SAMPLES / part.seen) {
      // Each of many has the same chance to be among those kept.
      part.trips[Math.floor(Math.random() * SAMPLES)] = trip;
    }
  }

  /** The value below which a share of the sorted values lies. */
  const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

  function draw() {
    const now = (performance.now() / 1000) * PARTS;
    const before = parts.length;
    parts = parts.filter((part) => now - part.number <= SPAN * PARTS);
    if (!changed && before === 0) {
      return;
    }
    for (const part of parts) {
      if (part.sorted !== part.seen) {
        part.trips.sort((a, b) => a - b);
        part.sorted = part.seen;
      }
    }
    const points = (share) => parts.map((part) => [(now - part.number) / PARTS, quantile(part.trips, share)]);
    chart.show(
      [
        { name: "p99", ink: "warm", dashed: true, points: points(0.99) },
        { name: "p50", ink: "accent", dashed: false, points: points(0.5) },
      ],
      SPAN,
    );
    if (changed) {
      changed = false;
      const sorted = recent.slice(0, Math.min(count, RECENT)).sort();
      const at = (share) => (count > 0 ? Format.milliseconds(quantile(sorted, share)) : "–");
      showFigures(element("trips-figures"), [
        ["p50", at(0.5)],
        ["p99", at(0.99)],
        ["slowest", at(1)],
        ["round trips", Format.count(count)],
      ]);
    }
  }

  setInterval(draw, REDRAW);
  chart.redraw();

  return { add };
})();
