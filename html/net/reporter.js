// Sends the events of sockets from the worker to the page, in batches.

/** Shortest time between two batches, in milliseconds: about one frame. */
const INTERVAL = 16;

/** Number of batches that the page may not have taken yet. Further events wait. */
const MAX_UNTAKEN = 2;

/** Number of waiting events. Messages beyond it are counted and not shown: the log keeps no more either. */
const MAX_EVENTS = 20000;

/** Size of all waiting messages together, in bytes. */
const MAX_BYTES = 64 << 20;

const sizeOf = ({ data }) => (data === undefined ? 0 : typeof data === "string" ? data.length : data.byteLength);

export class Reporter {
  /** `post` sends a batch to the page, with the list of buffers to transfer. */
  constructor(post) {
    this.post = post;
    this.events = [];
    this.bytes = 0;
    this.dropped = 0;
    this.untaken = 0;
    this.lastBatch = 0;
    this.timer = 0;
  }

  /** Adds an event. Sends it at once if the last batch was sent a while ago. */
  add(event) {
    this.events.push(event);
    this.bytes += sizeOf(event);
    if (this.events.length > 2 * MAX_EVENTS || this.bytes > 2 * MAX_BYTES) {
      this.dropOldest();
    }
    this.schedule();
  }

  /** Drops the oldest messages until half of the limits are reached. Keeps the events of connections. */
  dropOldest() {
    let count = this.events.length;
    const kept = this.events.filter((event) => {
      if (event.data === undefined || (count <= MAX_EVENTS && this.bytes <= MAX_BYTES)) {
        return true;
      }
      count -= 1;
      this.bytes -= sizeOf(event);
      this.dropped += 1;
      return false;
    });
    this.events = kept;
  }

  schedule() {
    if (this.timer || this.untaken >= MAX_UNTAKEN || this.events.length === 0) {
      return;
    }
    const wait = this.lastBatch + INTERVAL - performance.now();
    if (wait <= 0) {
      this.send();
    } else {
      this.timer = setTimeout(() => {
        this.timer = 0;
        this.send();
      }, wait);
    }
  }

  send() {
    const buffers = this.events.filter((event) => event.type === "received" && typeof event.data !== "string");
    const { events, dropped } = this;
    this.events = [];
    this.bytes = 0;
    this.dropped = 0;
    this.untaken += 1;
    this.lastBatch = performance.now();
    this.post({ events, dropped }, buffers.map((event) => event.data));
  }

  /** The page has taken a batch. */
  taken() {
    this.untaken -= 1;
    this.schedule();
  }
}
