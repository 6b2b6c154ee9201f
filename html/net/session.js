// One connection of the page: opens it, closes it, reconnects with back-off, and sends what waits for it.
import { explainFailure } from "./diagnose.js";

/** Delay before the first reconnect attempt, in milliseconds. Each later one doubles it. */
const FIRST_DELAY = 500;

/** Longest delay before a reconnect attempt, in milliseconds. */
const MAX_DELAY = 30000;

export class Session {
  /**
   * `slot` is "A" or "B". `listener.state(session)` is called after each change of the state, `listener.event(session,
   * event)` with each event of its sockets, with the URL.
   */
  constructor(slot, sockets, listener) {
    this.slot = slot;
    this.sockets = sockets;
    this.listener = listener;
    // closed, connecting, open, closing, or waiting (to reconnect).
    this.state = "closed";
    this.socket = null;
    this.target = null;
    this.reconnects = false;
    this.attempts = 0;
    this.retryAt = 0;
    this.timer = 0;
    // Sent as soon as the connection is open.
    this.waitingDraft = null;
    // The last attempt did not open a connection.
    this.failed = false;
  }

  /** Connects. An existing connection is closed with 1000. */
  connect(url, protocols) {
    this.leave();
    this.attempts = 0;
    this.target = { url, protocols };
    this.attempt();
  }

  /** Closes the connection as replaced, and cancels a reconnect attempt. Its last event still reaches the listener. */
  leave() {
    clearTimeout(this.timer);
    if (this.socket) {
      this.socket.isReplaced = true;
      this.socket.close(1000, "");
      this.socket = null;
    }
  }

  attempt() {
    const { url, protocols } = this.target;
    const socket = this.sockets.open(url, protocols, (event) => this.onEvent(socket, { ...event, url, protocols }));
    socket.wasOpen = false;
    this.failed = false;
    this.socket = socket;
    this.setState("connecting");
  }

  onEvent(socket, event) {
    const isCurrent = socket === this.socket;
    if (event.type === "open") {
      socket.wasOpen = true;
    }
    const failed = event.type === "close" && !socket.wasOpen && !socket.isReplaced;
    this.listener.event(this, { ...event, replaced: socket.isReplaced === true, failed });
    if (!isCurrent) {
      return;
    }
    if (event.type === "open") {
      this.attempts = 0;
      this.setState("open");
      this.sendWaiting();
    } else if (event.type === "close" || event.type === "refused") {
      this.onEnd(event, failed && !socket.isCancelled);
    }
  }

  onEnd({ type, at, url, protocols }, failed) {
    const isLeaving = this.state === "closing";
    this.socket = null;
    this.failed = failed || type === "refused";
    if (failed) {
      explainFailure(url, protocols).then((text) => this.listener.event(this, { type: "failure", at, url, text }));
    }
    if (this.reconnects && type === "close" && !isLeaving) {
      this.scheduleReconnect();
      return;
    }
    this.waitingDraft = null;
    this.setState("closed");
  }

  /** Reconnects after a delay. Up to a quarter of it is random, so that many clients do not reconnect at once. */
  scheduleReconnect() {
    const longestDelay = Math.min(FIRST_DELAY * 2 ** this.attempts, MAX_DELAY);
    const delay = longestDelay * (0.75 + Math.random() / 4);
    this.attempts += 1;
    this.retryAt = performance.now() + delay;
    this.timer = setTimeout(() => this.attempt(), delay);
    this.setState("waiting");
  }

  /** Reconnects at once instead of after the delay. */
  retryNow() {
    if (this.state === "waiting") {
      clearTimeout(this.timer);
      this.attempt();
    }
  }

  /** Closes the connection and does not reconnect. The browser checks code and reason. */
  disconnect(code, reason) {
    clearTimeout(this.timer);
    this.waitingDraft = null;
    if (!this.socket) {
      this.setState("closed");
      return;
    }
    this.socket.isCancelled = this.state === "connecting";
    this.socket.close(code, reason);
    this.setState("closing");
  }

  /** The browser refused the code or the reason of `disconnect`: the connection is still open. */
  keepOpen() {
    if (this.state === "closing" && this.socket?.wasOpen) {
      this.setState("open");
    }
  }

  /** Sets whether to reconnect when the connection is lost. */
  setReconnects(reconnects) {
    this.reconnects = reconnects;
    if (!reconnects && this.state === "waiting") {
      this.disconnect();
    }
  }

  /** Sends a draft. Without a connection, it is sent when the next one is open. Returns whether it was sent. */
  send(draft) {
    if (this.state === "open") {
      this.socket.send(draft);
      return true;
    }
    this.waitingDraft = draft;
    return false;
  }

  sendWaiting() {
    if (this.waitingDraft) {
      this.socket.send(this.waitingDraft);
      this.waitingDraft = null;
    }
  }

  get isOpen() {
    return this.state === "open";
  }

  /** Returns whether a connection exists or is being opened, now or later. */
  get isWanted() {
    return this.state !== "closed" && this.state !== "closing";
  }

  /** Returns the state as a text. */
  get description() {
    if (this.state === "waiting") {
      const seconds = Math.max(0, Math.ceil((this.retryAt - performance.now()) / 1000));
      return `Reconnecting in ${seconds} s (attempt ${this.attempts})`;
    }
    const closed = this.failed ? "Connection failed" : "Not connected";
    const texts = { closed, connecting: "Connecting …", open: "Connected", closing: "Closing …" };
    return texts[this.state];
  }

  setState(state) {
    this.state = state;
    this.listener.state(this);
  }
}
