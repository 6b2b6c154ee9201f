// Connects the parts of the page.
import { Connector } from "./bar/connector.js";
import { readSettings, SettingsWriter } from "./bar/settings.js";
import { startTheme } from "./bar/theme.js";
import { bytesOf, toBase64 } from "./base/bytes.js";
import { element, make, setText } from "./base/dom.js";
import { Composer } from "./compose/composer.js";
import { encode } from "./compose/payload.js";
import { Runs } from "./compose/runs.js";
import { Saved } from "./compose/saved.js";
import { Announcer } from "./log/announcer.js";
import { LogPane } from "./log/pane.js";
import { recordEvent } from "./log/record.js";
import { LogToolbar } from "./log/toolbar.js";
import { Session } from "./net/session.js";
import { Sockets } from "./net/sockets.js";
import { isPageServer, pageServer, resolve } from "./net/target.js";
import { Code } from "./panel/code.js";
import { Endpoints } from "./panel/endpoints.js";
import { RoundTrips } from "./panel/round-trips.js";
import { Statistics } from "./panel/statistics.js";
import { Tabs } from "./panel/tabs.js";

/** Starts the page. `script` is the URL of the module that also runs in the worker. */
export function startPage(script) {
  element("not-started").remove();
  new Page(script).start();
}

class Page {
  constructor(script) {
    this.version = document.querySelector("meta[name=generator]").content.replace(/^ws-echo */, "");
    this.settings = new SettingsWriter();
    this.sockets = new Sockets(script, (count) => this.onDropped(count));
    // Prefixes of text replies, by URL.
    this.prefixes = new Map();
    this.sides = [];
    this.addSide("A");
    this.announcer = new Announcer();
    this.toolbar = new LogToolbar(() => this.sides.map(({ pane }) => pane), this.version);
    const saveForm = () => this.saveForm();
    this.connector = new Connector(this.sides[0].session, {
      connectAll: (url, protocols) => this.connectAll(url, protocols),
      disconnectAll: (code, reason) => this.disconnectAll(code, reason),
      writeLink: () => this.settings.write(this.settingsOfForm()),
    });
    this.composer = new Composer({ send: (draft) => this.send(draft), changed: saveForm });
    this.runs = new Runs(this.composer, () => this.sender(), saveForm);
    this.saved = new Saved({ use: (draft) => this.fill(draft), draft: () => this.composer.draft() });
    this.tabs = new Tabs();
    this.trips = new RoundTrips();
    this.statistics = new Statistics(() => this.sides[0].session.target?.url ?? pageServer(), saveForm);
    this.code = new Code();
    this.endpoints = new Endpoints((target, twice) => this.choose(target, twice));
    startTheme(() => {
      this.trips.chart.redraw();
      this.statistics.chart.redraw();
    });
  }

  start() {
    const settings = this.loadForm();
    this.listen();
    this.showName(null);
    this.endpoints.load().then((headers) => this.showName(headers));
    this.saveForm();
    this.connectOwn(settings);
    if (settings.stats === "1" && this.isOwn(settings)) {
      this.statistics.start();
    }
  }

  listen() {
    for (const id of ["url", "protocols", "close-code", "close-reason", "reconnect"]) {
      element(id).addEventListener("input", () => this.saveForm());
    }
    element("reconnect").addEventListener("change", () => {
      for (const { session } of this.sides) {
        session.setReconnects(element("reconnect").checked);
      }
    });
    element("second").addEventListener("change", () => this.setSecond(element("second").checked));
    document.querySelector(".skip").addEventListener("click", (event) => {
      // The fragment of the page holds the settings: the link moves the focus and leaves the fragment.
      event.preventDefault();
      element("message").focus();
    });
    addEventListener("hashchange", () => {
      const settings = readSettings(location.hash);
      this.settings.cancel();
      if (settings) {
        this.loadForm();
        this.connectOwn(settings);
      }
      this.saveForm();
    });
  }

  /** Adds a connection with its pane. */
  addSide(slot) {
    const pane = new LogPane(slot, {
      onCount: () => this.toolbar?.showCounts(),
      showAll: () => this.toolbar.showAll(),
      closePane: () => {
        element("second").checked = false;
        this.setSecond(false);
      },
      sendAgain: (entry) => this.send({ kind: "exact", text: "", bytes: entry.data }),
      edit: (entry) => {
        this.fill(draftOf(entry));
        element("message").focus();
      },
      save: (entry) => {
        this.saved.add(draftOf(entry));
        element("saved-menu").open = true;
        element("saved-name").focus();
      },
    });
    const session = new Session(slot, this.sockets, {
      state: () => this.onState(),
      event: (_, event) => this.onEvent(pane, event),
    });
    session.setReconnects(element("reconnect").checked);
    this.sides.push({ session, pane });
    element("panes").append(pane.element);
  }

  /** Adds or removes the second connection. */
  setSecond(wanted) {
    const [first, second] = this.sides;
    if (wanted && !second) {
      this.addSide("B");
      if (first.session.isWanted) {
        const { url, protocols } = first.session.target;
        this.sides[1].session.connect(url, protocols);
      }
    } else if (!wanted && second) {
      second.session.leave();
      second.pane.element.remove();
      this.sides.pop();
    }
    element("panes").classList.toggle("two", this.sides.length === 2);
    this.showSlots();
    this.toolbar.apply();
    this.onState();
    this.saveForm();
  }

  /** Shows the choice of the connection that sends, if there are two. */
  showSlots() {
    const slots = element("slots");
    slots.hidden = this.sides.length < 2;
    if (!slots.querySelector("input")) {
      for (const slot of ["A", "B"]) {
        const label = make("label");
        const input = make("input");
        Object.assign(input, { type: "radio", name: "slot", value: slot, checked: slot === "A" });
        label.append(input, make("span", "", `From ${slot}`));
        slots.append(label);
      }
    }
  }

  /** Returns the session that sends. */
  sender() {
    const isSecond = this.sides.length > 1 && document.querySelector("#slots input:checked")?.value === "B";
    return this.sides[isSecond ? 1 : 0].session;
  }

  /** Sends a draft. Connects first if there is no connection. */
  send(draft) {
    const session = this.sender();
    if (!session.send(draft) && !session.isWanted && !this.connector.connect()) {
      session.waitingDraft = null;
    }
  }

  connectAll(url, protocols) {
    this.saveForm();
    for (const { session } of this.sides) {
      session.connect(url, protocols);
    }
  }

  disconnectAll(code, reason) {
    for (const { session } of this.sides) {
      session.disconnect(code, reason);
    }
  }

  /** Connects if the settings name the server of the page. A link connects to no other server unasked. */
  connectOwn(settings) {
    if (this.isOwn(settings)) {
      this.connector.connect();
    } else {
      this.connector.showState();
    }
  }

  isOwn(settings) {
    try {
      return isPageServer(resolve(settings.url));
    } catch {
      return false;
    }
  }

  /** Connects to an endpoint of the page's server, with `twice` on a second connection too. */
  choose(target, twice = false) {
    this.connector.url.value = target;
    this.connector.connect();
    if (twice && this.sides.length === 1) {
      element("second").checked = true;
      this.setSecond(true);
    }
    this.tabs.select("messages");
  }

  onState() {
    this.connector?.showState();
    const [first] = this.sides;
    this.endpoints?.markUsed(first.session.isWanted ? first.session.target.url : null);
    for (const { session, pane } of this.sides) {
      pane.showState(session.state, session.description);
    }
  }

  onEvent(pane, event) {
    if (event.type === "progress") {
      this.runs.onProgress(event);
      return;
    }
    if (event.type === "problem") {
      this.connector.showError(event.text);
      for (const { session } of this.sides) {
        session.keepOpen();
      }
      return;
    }
    recordEvent(pane.store, event);
    if (typeof event.rtt === "number") {
      this.trips.add(event.rtt, event.at);
    }
    if (event.verdict === "prefix" && this.prefixes.get(event.url) !== event.prefix) {
      this.prefixes.set(event.url, event.prefix);
      this.saveForm();
    }
    if (event.type === "received" && new URL(event.url).pathname === "/info") {
      this.showInstance(event);
    }
    this.announcer.add(pane.store.entries.at(-1));
    pane.view.schedule();
    if (this.toolbar.paused) {
      this.toolbar.showCountsSoon();
    }
  }

  onDropped(count) {
    const { store } = this.sides[0].pane;
    store.counts.dropped += count;
  }

  /** Fills the form of the message. */
  fill(draft) {
    this.composer.set(draft);
    this.saveForm();
  }

  /** Shows the version, and the name of the instance if the server gives it. */
  showName(headers) {
    const instance = headers?.get("X-Served-By") ?? "";
    setText(element("version"), [this.version, instance && `on ${instance}`].filter(Boolean).join(" "));
  }

  /** Shows the name of the instance that `/info` gives, if it is the server of the page. */
  showInstance({ url, data }) {
    try {
      const { served_by: servedBy } = JSON.parse(data);
      if (typeof servedBy === "string" && isPageServer(url)) {
        setText(element("version"), `${this.version} on ${servedBy}`);
      }
    } catch {
      // An echo that is not JSON.
    }
  }

  /** Writes the form into the fragment of the URL a moment later, and updates the snippets. */
  saveForm() {
    this.settings.save(this.settingsOfForm());
    this.showCode();
  }

  settingsOfForm() {
    const draft = this.composer.draft();
    return {
      url: this.connector.url.value,
      protocols: this.connector.protocols.value,
      kind: draft.kind,
      message: draft.text,
      reconnect: element("reconnect").checked ? "1" : "",
      second: this.sides.length > 1 ? "1" : "",
      code: element("close-code").value,
      reason: element("close-reason").value,
      every: element("every").value,
      count: element("burst-count").value,
      size: element("burst-size").value,
      stats: this.statistics.isOn ? "1" : "",
    };
  }

  showCode() {
    try {
      const url = resolve(this.connector.url.value);
      const prefix = this.prefixes.get(url) ?? (url === pageServer() ? "Received: " : "");
      this.code.show({ url, protocols: this.connector.protocolNames(), message: encode(this.composer.draft(), 1), prefix });
    } catch {
      // The URL or the message is incomplete: keeps the snippets.
    }
  }

  /** Fills the form from the fragment of the URL, and returns the settings. */
  loadForm() {
    const settings = readSettings(location.hash) ?? readSettings("");
    this.connector.url.value = settings.url;
    this.connector.protocols.value = settings.protocols;
    element("close-code").value = settings.code;
    element("close-reason").value = settings.reason;
    element("every").value = settings.every;
    element("burst-count").value = settings.count;
    element("burst-size").value = settings.size;
    element("reconnect").checked = settings.reconnect === "1";
    element("reconnect").dispatchEvent(new Event("change"));
    this.composer.set({ kind: settings.kind, text: settings.message });
    element("second").checked = settings.second === "1";
    this.setSecond(settings.second === "1");
    for (const { session } of this.sides) {
      session.setReconnects(settings.reconnect === "1");
    }
    return settings;
  }
}

/** Returns the draft of a message in the log. */
function draftOf({ data }) {
  return typeof data === "string" ? { kind: "text", text: data } : { kind: "base64", text: toBase64(bytesOf(data)) };
}
