// Draws round trip times: p50 and p99 of each tenth of a second.
"use strict";

const RoundTrips = (() => {
  /** Seconds that the chart shows, and parts of a second. */
  const SPAN = 30;
  const PARTS = 10;

  /** Samples that are kept of one part: enough for a p99. */
  const SAMPLES = 500;

  /** Samples that the figures are computed from. */
  const RECENT = 10000;

  /** Interval between two drawings, in milliseconds. */
  const REDRAW = 250;

  const chart = new Chart(element("trips"), { unit: axisLabel, logarithmic: true });
  const recent = new Float64Array(RECENT);
  let count = 0;
  let parts = [];
  let changed = true;

  function axisLabel(ms) {
    return ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(1))} ms`;
  }

  /** Adds a round trip time in milliseconds. */
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
    if (part.samples.length < SAMPLES) {
      part.samples.push(rtt);
    } else if (Math.random() < SAMPLES / part.seen) {
      // Reservoir sampling: each sample is kept with the same probability.
      part.samples[Math.floor(Math.random() * SAMPLES)] = rtt;
    }
  }

  /** Returns the quantile of sorted values. */
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
        part.samples.sort((a, b) => a - b);
        part.sorted = part.seen;
      }
    }
    const points = (share) => parts.map((part) => [(now - part.number) / PARTS, quantile(part.samples, share)]);
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
