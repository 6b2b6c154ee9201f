// The figures that the server sends on /stats once a second.
import { element, setText, showFigures } from "../base/dom.js";
import { formatCount, formatSeconds, formatSize } from "../base/format.js";
import { Chart } from "./chart.js";

/** Seconds that the chart shows. */
const SPAN = 60;

/** A server that sends no figures for this long has none, in milliseconds. */
const FIRST_FIGURES = 4000;

/** Delay before a lost connection is opened again, in milliseconds: the first, and the longest. */
const RETRY = [1000, 10000];

const axisLabel = (rate) => (rate >= 1e6 ? `${rate / 1e6}M/s` : rate >= 1e3 ? `${rate / 1e3}k/s` : `${rate}/s`);

export class Statistics {
  /** `server()` returns a URL of the server. `changed()` is called when showing begins or ends. */
  constructor(server, changed) {
    this.server = server;
    this.changed = changed;
    this.chart = new Chart(element("server"), { formatValue: axisLabel });
    this.isOn = false;
    this.socket = null;
    this.timer = 0;
    this.samples = [];
    this.hadFigures = false;
    element("watch").addEventListener("click", () => (this.isOn ? this.stop("") : this.start()));
  }

  /** Connects to /stats and stays connected, until `stop`. */
  start() {
    this.isOn = true;
    this.samples = [];
    this.hadFigures = false;
    this.retries = 0;
    this.url = new URL("/stats", this.server()).href;
    this.open();
    this.show();
  }

  open() {
    clearTimeout(this.timer);
    this.tell(`Connecting to ${this.url} …`);
    try {
      this.socket = new WebSocket(this.url);
    } catch (error) {
      this.stop(error.message);
      return;
    }
    this.socket.onmessage = (event) => this.onFigures(event.data);
    this.socket.onclose = () => this.onClose();
    if (!this.hadFigures) {
      this.timer = setTimeout(() => this.stop(`No statistics from ${this.url}: only ws-echo has them.`), FIRST_FIGURES);
    }
  }

  onClose() {
    clearTimeout(this.timer);
    this.socket = null;
    if (!this.hadFigures) {
      this.stop(`No statistics from ${this.url}: the server refuses it or does not answer.`);
      return;
    }
    const delay = Math.min(RETRY[0] * 2 ** this.retries, RETRY[1]);
    this.retries += 1;
    this.tell(`Connection to ${this.url} lost; trying again every few seconds.`);
    this.timer = setTimeout(() => this.open(), delay);
  }

  /** Disconnects and shows a text in place of the figures. */
  stop(text) {
    clearTimeout(this.timer);
    this.isOn = false;
    if (this.socket) {
      this.socket.onclose = this.socket.onmessage = null;
      this.socket.close();
      this.socket = null;
    }
    this.show();
    this.tell(text || "Uses one more connection, to /stats.");
  }

  tell(text) {
    setText(element("watch-state"), text);
  }

  show() {
    element("watch").setAttribute("aria-pressed", String(this.isOn));
    setText(element("watch"), this.isOn ? "Hide" : "Show");
    element("server-picture").hidden = !this.isOn || this.samples.length === 0;
    this.changed();
  }

  onFigures(text) {
    let figures = null;
    try {
      figures = JSON.parse(text);
    } catch {
      // Another server may send text that is not JSON.
    }
    if (!figures?.rates || !figures.totals) {
      return;
    }
    clearTimeout(this.timer);
    this.hadFigures = true;
    this.retries = 0;
    this.samples.push({ at: performance.now() / 1000, ...figures });
    this.samples = this.samples.slice(-SPAN - 5);
    this.tell(`From ${this.url}, once a second.`);
    element("server-picture").hidden = false;
    this.draw(figures);
  }

  draw({ open, rates, totals, uptime_seconds: uptime }) {
    const now = performance.now() / 1000;
    const points = (select) => this.samples.map((figures) => [now - figures.at, select(figures)]);
    const lines = [
      { name: "messages in", ink: "accent", points: points((figures) => figures.rates.messages_in) },
      { name: "out", ink: "warm", dashed: true, points: points((figures) => figures.rates.messages_out) },
    ];
    this.chart.show(lines, SPAN);
    showFigures(element("server-figures"), [
      ["open sessions", formatCount(open)],
      ["messages in", `${formatCount(rates.messages_in)}/s`],
      ["messages out", `${formatCount(rates.messages_out)}/s`],
      ["bytes in", `${formatSize(rates.bytes_in)}/s`],
      ["bytes out", `${formatSize(rates.bytes_out)}/s`],
      ["connections", formatCount(totals.accepted)],
      ["refused", formatCount(totals.refused)],
      ["aborted", formatCount(totals.cut)],
      ["all messages in", formatCount(totals.messages_in)],
      ["running for", formatSeconds(uptime)],
    ]);
  }
}
