// Connects the parts of the page.
"use strict";

const url = element("url");
const protocols = element("protocols");
const reconnect = element("reconnect");
const showError = (text) => {
  element("connection-problem").textContent = text;
};

/** Returns the subprotocols to request. */
const protocolNames = () => protocols.value.split(/[\s,]+/).filter(Boolean);

/** Updates the URL fragment and the snippets from the form. */
function saveForm() {
  const kind = element("kind").value;
  const message = element("message").value;
  Settings.write({
    url: url.value,
    protocols: protocols.value,
    kind,
    message,
    reconnect: reconnect.checked ? "1" : "",
    watch: StatsClient.isOn() ? "1" : "",
  });
  try {
    Snippets.show(Settings.resolve(url.value), protocolNames(), message);
  } catch {
    // The URL is incomplete: keeps the snippets.
  }
}

/** Fills the form from the URL fragment, and returns the settings. */
function loadForm() {
  const settings = Settings.read();
  url.value = settings.url;
  protocols.value = settings.protocols;
  reconnect.checked = settings.reconnect === "1";
  Payload.set(settings.kind, settings.message);
  return settings;
}

/** Connects to the URL of the form. */
function connect() {
  showError("");
  try {
    const target = Settings.resolve(url.value);
    saveForm();
    Connection.connect(target, protocolNames(), reconnect.checked);
  } catch (error) {
    showError(error.message);
  }
}

/** Disconnects, or connects. */
function toggle() {
  showError("");
  if (!Connection.isWanted()) {
    connect();
    return;
  }
  try {
    Connection.disconnect(Number(element("close-code").value), element("close-reason").value);
  } catch (error) {
    showError(`${error.message} Browsers may close with 1000 or 3000 to 4999, and a reason of 123 bytes.`);
  }
}

Connection.listen({
  state(name, text) {
    const status = element("status");
    status.dataset.state = name;
    status.textContent = text;
    status.title = text;
    const canDisconnect = name === "open" || name === "connecting" || name === "waiting";
    element("connection").textContent = canDisconnect ? "Disconnect" : "Connect";
    Traffic.setOpen(name === "open");
  },
  open(target, protocol, extensions) {
    PendingEchoes.reset();
    const negotiated = [protocol && `subprotocol ${protocol}`, extensions && `extensions ${extensions}`];
    Log.note("onopen", [target, ...negotiated.filter(Boolean)].join(", "));
  },
  message(data, at) {
    const { rtt, verdict } = PendingEchoes.received(data, at);
    Log.message("received", data, at, rtt, verdict);
    if (rtt !== null) {
      RoundTrips.add(rtt, at);
    }
    Traffic.onReply(verdict);
  },
  error() {
    Log.note("onerror", "the connection failed; the browser does not tell a page why", true);
  },
  close(code, reason) {
    const quotedReason = reason ? ` “${reason}”` : "";
    Log.note("onclose", `${code}: ${Codes.meaningOf(code)}${quotedReason}`, code !== 1000);
  },
  refused: showError,
});

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  Traffic.sendForm();
});
element("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!element("send").disabled) {
      Traffic.sendForm();
    }
  }
});
element("connection").addEventListener("click", toggle);
element("connector").addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});
element("share").addEventListener("click", (event) => {
  saveForm();
  copyText(location.href, event.currentTarget);
});
reconnect.addEventListener("change", () => Connection.setAutoReconnect(reconnect.checked));
for (const id of ["url", "protocols", "kind", "message", "reconnect"]) {
  element(id).addEventListener("input", saveForm);
}
element("watch").addEventListener("click", () => {
  try {
    StatsClient.toggle(Settings.resolve(url.value));
  } catch (error) {
    showError(error.message);
  }
});
StatsClient.listen(saveForm);
addEventListener("hashchange", () => {
  loadForm();
  connect();
});

const settings = loadForm();
Endpoints.show((target) => {
  // The server of the form may differ from the server of the page.
  const base = Settings.resolve(url.value);
  const full = new URL(target, base).href;
  url.value = new URL(base).host === new URL(Settings.pageServer()).host ? target : full;
  connect();
  element("log-title").scrollIntoView({ block: "start" });
});
saveForm();
// A link to the page may name any server. The page connects only to its own server without a click.
if (new URL(Settings.resolve(settings.url)).host === new URL(Settings.pageServer()).host) {
  connect();
  if (settings.watch) {
    StatsClient.toggle(Settings.resolve(settings.url));
  }
}
