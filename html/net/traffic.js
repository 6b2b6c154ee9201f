// Repeated messages and bursts of one socket, in the worker.
import { encoder } from "../compose/payload.js";

/** A burst pauses while the browser buffers more bytes than this. */
const MAX_BUFFERED = 4 << 20;

/** Longest time that a slice of sending blocks the worker, in milliseconds. Replies are received between slices. */
const SLICE = 8;

/** A burst ends if no reply arrives for this long, in milliseconds. */
const REPLY_TIMEOUT = 5000;

/** Time between two reports of progress, in milliseconds. */
const PROGRESS_INTERVAL = 200;

/** Messages of a repetition that are sent at once after a delay. Those before are left out. */
const MAX_CATCH_UP = 1000;

export class Traffic {
  /** `socket` sends; `report` receives the progress. Throws if the draft is invalid. `every` is in milliseconds. */
  constructor(socket, report, { draft, count = Infinity, size = 0, every = 0 }) {
    this.socket = socket;
    this.report = report;
    this.encode = encoder(draft, size);
    this.count = count;
    this.every = every;
    this.since = performance.now();
    this.lastReply = this.since;
    this.lastReport = 0;
    this.figures = { sent: 0, identical: 0, prefix: 0, differs: 0 };
    this.timer = 0;
    this.next();
  }

  /** Sends what is due for one slice of time, then schedules the next slice. */
  next() {
    const { figures } = this;
    const started = performance.now();
    const limit = this.every > 0 ? this.dueCount(started) : this.count;
    try {
      while (figures.sent < limit && performance.now() < started + SLICE && this.socket.buffered < MAX_BUFFERED) {
        figures.sent += 1;
        this.socket.send(this.encode(figures.sent));
      }
    } catch (error) {
      this.finish(error.message);
      return;
    }
    if (this.isComplete()) {
      this.finish("");
    } else if (this.every === 0 && figures.sent === this.count && this.silentFor() > REPLY_TIMEOUT) {
      this.finish("no reply for 5 s");
    } else {
      this.tell(started);
      this.timer = setTimeout(() => this.next(), this.waitTime(started));
    }
  }

  /** Returns how many messages of a repetition are due. Moves the start after a long delay, as in a suspended tab. */
  dueCount(now) {
    const due = Math.floor((now - this.since) / this.every) + 1;
    if (due - this.figures.sent > MAX_CATCH_UP) {
      this.since = now - (this.figures.sent + MAX_CATCH_UP - 1) * this.every;
      return this.figures.sent + MAX_CATCH_UP;
    }
    return due;
  }

  waitTime(started) {
    if (this.every > 0) {
      return Math.max(0, this.since + this.figures.sent * this.every - performance.now());
    }
    return this.figures.sent < this.count ? 0 : Math.min(PROGRESS_INTERVAL, started + PROGRESS_INTERVAL - performance.now());
  }

  silentFor() {
    return performance.now() - Math.max(this.lastReply, this.since);
  }

  isComplete() {
    const { identical, prefix, differs } = this.figures;
    return identical + prefix + differs >= this.count;
  }

  /** Counts a reply. */
  onReply(verdict) {
    if (verdict) {
      this.figures[verdict] += 1;
      this.lastReply = performance.now();
      if (this.isComplete()) {
        this.finish("");
      }
    }
  }

  /** Reports the progress from time to time. */
  tell(now) {
    if (now - this.lastReport > PROGRESS_INTERVAL) {
      this.lastReport = now;
      this.report({ ...this.figures, done: false });
    }
  }

  /** Ends and reports the figures, the time until the last reply in milliseconds, and a note. */
  finish(note) {
    clearTimeout(this.timer);
    this.report({ ...this.figures, took: Math.max(this.lastReply - this.since, 0.1), note, done: true });
    this.socket.traffic = null;
  }
}
