// Draws round-trip times: p50 and p99 of each tenth of a second.
"use strict";

const RoundTrips = (() => {
  /** Seconds that the chart shows. */
  const SPAN = 30;

  /** Number of parts of a second. */
  const PARTS = 10;

  /** Number of samples that are kept of one part, enough for a p99. */
  const MAX_SAMPLES = 500;

  /** Number of samples that the figures are computed from. */
  const RECENT = 10000;

  /** Interval between drawings, in milliseconds. */
  const REDRAW = 250;

  const chart = new Chart(element("trips"), { formatValue: axisLabel, logarithmic: true });
  const recent = new Float64Array(RECENT);
  let count = 0;
  let parts = [];
  let changed = true;

  function axisLabel(ms) {
    return ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(1))} ms`;
  }

  /** Adds a round-trip time. `rtt` and `at` are in milliseconds. */
  function add(rtt, at) {
    recent[count % RECENT] = rtt;
    count += 1;
    changed = true;
    const number = Math.floor((at / 1000) * PARTS);
    let part = parts[parts.length - 1];
    if (!part || part.number !== number) {
      part = { number, samples: [], seen: 0 };
      parts.push(part);
    }
    part.seen += 1;
    if (part.samples.length < MAX_SAMPLES) {
      part.samples.push(rtt);
    } else if (Math.random() < MAX_SAMPLES / part.seen) {
      // Reservoir sampling: each sample is kept with the same probability.
      part.samples[Math.floor(Math.random() * MAX_SAMPLES)] = rtt;
    }
  }

  /** Returns a quantile of sorted values. `q` is 0 to 1. */
  const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

  function draw() {
    const now = (performance.now() / 1000) * PARTS;
    const before = parts.length;
    parts = parts.filter((part) => now - part.number <= SPAN * PARTS);
    if (!changed && before === 0) {
      return;
    }
    for (const part of parts) {
      if (part.sorted !== part.seen) {
        part.samples.sort((a, b) => a - b);
        part.sorted = part.seen;
      }
    }
    const points = (q) => parts.map((part) => [(now - part.number) / PARTS, quantile(part.samples, q)]);
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
      const at = (q) => (count > 0 ? Format.milliseconds(quantile(sorted, q)) : "–");
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
