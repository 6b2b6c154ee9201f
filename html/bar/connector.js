// The bar: URL, state of the connection, Connect or Disconnect, options.
import { copyText } from "../base/clipboard.js";
import { closeOnLeave, element, setText } from "../base/dom.js";
import { resolve } from "../net/target.js";

export class Connector {
  /**
   * `session` is the first connection. `connectAll(url, protocols)` connects; `disconnectAll(code, reason)` closes.
   * `writeLink()` writes the settings into the URL of the page, and returns the names of those that are too long.
   */
  constructor(session, { connectAll, disconnectAll, writeLink }) {
    this.session = session;
    this.connectAll = connectAll;
    this.url = element("url");
    this.protocols = element("protocols");
    this.button = element("connect");
    closeOnLeave(element("options"));
    element("connector").addEventListener("submit", (event) => {
      event.preventDefault();
      // Enter in the field connects to what it holds; the button disconnects while there is a connection.
      if (document.activeElement !== this.url && session.isWanted && !this.isChanged()) {
        disconnectAll(Number(element("close-code").value), element("close-reason").value);
      } else {
        this.connect();
      }
    });
    this.url.addEventListener("input", () => {
      this.showError("");
      this.showState();
    });
    element("retry").addEventListener("click", () => session.retryNow());
    element("share").addEventListener("click", (event) => {
      const omitted = writeLink();
      const names = omitted.join(" and ");
      setText(element("share-problem"), omitted.length > 0 ? `The link leaves out the ${names}: longer than a link may be.` : "");
      copyText(location.href, event.currentTarget);
    });
    setInterval(() => this.session.state === "waiting" && this.showState(), 250);
  }

  /** Returns the subprotocols to request. */
  protocolNames() {
    return this.protocols.value.split(/[\s,]+/).filter(Boolean);
  }

  /** Returns whether the field names another URL than that of the connection. */
  isChanged() {
    try {
      return resolve(this.url.value) !== this.session.target?.url;
    } catch {
      return true;
    }
  }

  /** Connects to the URL of the field. Returns whether the URL is valid. */
  connect() {
    this.showError("");
    try {
      const target = resolve(this.url.value);
      if (!this.url.value.trim().startsWith("/")) {
        this.url.value = this.url.value.trim() ? target : "/";
      }
      this.connectAll(target, this.protocolNames());
      return true;
    } catch (error) {
      this.showError(error.message);
      return false;
    }
  }

  showError(text) {
    setText(element("connection-problem"), text);
    this.url.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** Shows the state of the connection, also in the title of the tab. */
  showState() {
    const { session } = this;
    const status = element("status");
    status.dataset.state = session.state === "closed" && session.failed ? "failed" : session.state;
    setText(status, session.description);
    status.title = session.isOpen ? `Connected to ${session.target.url}` : session.description;
    const disconnects = session.isWanted && !this.isChanged();
    setText(this.button, disconnects ? "Disconnect" : "Connect");
    this.button.classList.toggle("primary", !disconnects);
    element("send").classList.toggle("primary", disconnects);
    element("retry").hidden = session.state !== "waiting";
    const signs = { open: "●", connecting: "◌", waiting: "◌" };
    document.title = `${signs[session.state] ?? "○"} ${session.description} · WebSocket Echo Test`;
  }
}
