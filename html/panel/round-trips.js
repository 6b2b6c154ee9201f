// Round-trip times: p50 and p99 of each tenth of a second, and figures of all.
import { element, showFigures } from "../base/dom.js";
import { formatCount, formatMilliseconds } from "../base/format.js";
import { Chart } from "./chart.js";

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

const axisLabel = (ms) => (ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(1))} ms`);

/** Returns a quantile of sorted values. `q` is 0 to 1. */
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

export class RoundTrips {
  constructor() {
    this.chart = new Chart(element("trips"), { formatValue: axisLabel, logarithmic: true });
    this.recent = new Float64Array(RECENT);
    this.count = 0;
    this.parts = [];
    this.changed = false;
    setInterval(() => this.draw(), REDRAW);
  }

  /** Adds a round-trip time. `rtt` and `at` (since 1970) are in milliseconds. */
  add(rtt, at) {
    this.recent[this.count % RECENT] = rtt;
    this.count += 1;
    this.changed = true;
    const number = Math.floor((at / 1000) * PARTS);
    let part = this.parts.at(-1);
    if (!part || part.number !== number) {
      part = { number, samples: [], seen: 0 };
      this.parts.push(part);
      this.parts = this.parts.slice(-SPAN * PARTS);
    }
    part.seen += 1;
    if (part.samples.length < MAX_SAMPLES) {
      part.samples.push(rtt);
    } else if (Math.random() < MAX_SAMPLES / part.seen) {
      // Reservoir sampling: each sample is kept with the same probability.
      part.samples[Math.floor(Math.random() * MAX_SAMPLES)] = rtt;
    }
  }

  draw() {
    if (this.count === 0 || !this.chart.isVisible()) {
      this.showEmpty();
      return;
    }
    const now = (Date.now() / 1000) * PARTS;
    this.parts = this.parts.filter((part) => now - part.number <= SPAN * PARTS);
    for (const part of this.parts) {
      if (part.sorted !== part.seen) {
        part.samples.sort((a, b) => a - b);
        part.sorted = part.seen;
      }
    }
    const points = (q) => this.parts.map((part) => [(now - part.number) / PARTS, quantile(part.samples, q)]);
    const lines = [
      { name: "p99", ink: "warm", dashed: true, points: points(0.99) },
      { name: "p50", ink: "accent", dashed: false, points: points(0.5) },
    ];
    this.chart.show(lines, SPAN);
    if (this.changed) {
      this.changed = false;
      const sorted = this.recent.slice(0, Math.min(this.count, RECENT)).sort();
      const at = (q) => formatMilliseconds(quantile(sorted, q));
      showFigures(element("trips-figures"), [
        ["p50", at(0.5)],
        ["p90", at(0.9)],
        ["p99", at(0.99)],
        ["slowest", at(1)],
        ["round trips", formatCount(this.count)],
      ]);
    }
  }

  showEmpty() {
    element("trips-empty").hidden = this.count > 0;
    element("trips-picture").hidden = this.count === 0;
  }
}
