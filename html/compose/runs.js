// The controls of repeated messages and bursts, and their figures.
import { closeOnLeave, element, setText } from "../base/dom.js";
import { formatCount, formatMilliseconds } from "../base/format.js";

export class Runs {
  /** `composer` has the message. `session()` returns the connection that sends. `changed()` follows each change. */
  constructor(composer, session, changed) {
    this.composer = composer;
    this.session = session;
    this.running = null;
    closeOnLeave(element("repeat-menu"));
    element("repeat").addEventListener("click", () => this.toggle("repeat", () => ({ every: numberOf("every") })));
    element("burst").addEventListener("click", () =>
      this.toggle("burst", () => ({ count: numberOf("burst-count"), size: numberOf("burst-size") })),
    );
    for (const id of ["every", "burst-count", "burst-size"]) {
      element(id).addEventListener("input", changed);
    }
  }

  /** Starts a run, or stops the one that is running. */
  async toggle(name, options) {
    if (this.running) {
      this.running.socket.stop();
      return;
    }
    const session = this.session();
    if (!session.isOpen) {
      this.show("Not connected. Connect first.");
      return;
    }
    try {
      const draft = await this.composer.read();
      this.running = { name, session, socket: session.socket, since: performance.now(), ...options() };
      session.socket.start({ draft, ...options() });
      this.showButtons();
      this.show("Sending …");
    } catch (error) {
      this.composer.showError(error.message);
    }
  }

  /** Shows the progress of a run, which the worker reports. */
  onProgress(figures) {
    if (!this.running) {
      return;
    }
    this.show(this.running.name === "burst" ? burstText(figures) : this.repeatText(figures));
    if (figures.done) {
      this.running = null;
      this.showButtons();
    }
  }

  repeatText({ sent, note, done }) {
    const seconds = (performance.now() - this.running.since) / 1000;
    const rate = sent > 1 ? ` · ${formatCount((sent - 1) / seconds)} a second` : "";
    return `${formatCount(sent)} sent${rate}${done && note ? ` · ${note}` : ""}`;
  }

  show(text) {
    setText(element("run-result"), text);
  }

  showButtons() {
    for (const [id, text] of [
      ["repeat", "Repeat"],
      ["burst", "Burst"],
    ]) {
      const isRunning = this.running?.name === id;
      element(id).setAttribute("aria-pressed", String(isRunning));
      element(id).textContent = isRunning ? "Stop" : text;
      element(id).disabled = this.running !== null && !isRunning;
    }
  }
}

function burstText({ sent, identical, prefix, differs, took, note, done }) {
  const answered = identical + prefix + differs;
  const parts = [`${formatCount(sent)} sent`];
  for (const [count, text] of [
    [identical, "identical"],
    [prefix, "echoed with prefix"],
    [differs, "differ"],
    [done ? sent - answered : 0, "without reply"],
  ]) {
    if (count > 0) {
      parts.push(`${formatCount(count)} ${text}`);
    }
  }
  if (done && answered > 0) {
    parts.push(`${formatMilliseconds(took)}, ${formatCount((answered / took) * 1000)} a second`);
  }
  return [...parts, note].filter(Boolean).join(" · ");
}

/** Reads a number from a field and limits it to the range of the field. */
function numberOf(id) {
  const field = element(id);
  const value = Math.round(Number(field.value)) || 0;
  field.value = String(Math.min(Math.max(value, Number(field.min)), Number(field.max)));
  return Number(field.value);
}
