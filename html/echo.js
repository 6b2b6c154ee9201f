// The page: puts its parts together, and connects.
"use strict";

const url = element("url");
const protocols = element("protocols");
const reconnect = element("reconnect");
const complain = (sentence) => {
  element("connection-problem").textContent = sentence;
};

/** The subprotocols that are asked for. */
const protocolNames = () => protocols.value.split(/[\s,]+/).filter(Boolean);

/** Keeps the address and the calls in step with the form. */
function remember() {
  const kind = element("kind").value;
  const message = element("message").value;
  Settings.write({
    url: url.value,
    protocols: protocols.value,
    kind,
    message,
    reconnect: reconnect.checked ? "1" : "",
    watch: Watch.isOn() ? "1" : "",
  });
  try {
    Snippets.show(Settings.resolve(url.value), protocolNames(), message);
  } catch {
    // The calls stay as they are while the URL is being typed.
  }
}

/** Puts what the address says into the form. */
function recall() {
  const settings = Settings.read();
  url.value = settings.url;
  protocols.value = settings.protocols;
  reconnect.checked = settings.reconnect === "1";
  Payload.set(settings.kind, settings.message);
  return settings;
}

/** Connects to what stands in the form. */
function connect() {
  complain("");
  try {
    const target = Settings.resolve(url.value);
    remember();
    Connection.connect(target, protocolNames(), reconnect.checked);
  } catch (error) {
    complain(error.message);
  }
}

/** Ends the connection, or makes one. */
function toggle() {
  complain("");
  if (!Connection.isWanted()) {
    connect();
    return;
  }
  try {
    Connection.disconnect(Number(element("close-code").value), element("close-reason").value);
  } catch (error) {
    complain(`${error.message} Browsers may close with 1000 or 3000 to 4999, and a reason of 123 bytes.`);
  }
}

Connection.listen({
  state(name, words) {
    const status = element("status");
    status.dataset.state = name;
    status.textContent = words;
    status.title = words;
    const busy = name === "open" || name === "connecting" || name === "waiting";
    element("connection").textContent = busy ? "Disconnect" : "Connect";
    Traffic.setOpen(name === "open");
  },
  open(target, protocol, extensions) {
    Echoes.reset();
    const agreed = [protocol && `subprotocol ${protocol}`, extensions && `extensions ${extensions}`];
    Log.note("onopen", [target, ...agreed.filter(Boolean)].join(", "));
  },
  message(data, at) {
    const { trip, verdict } = Echoes.received(data, at);
    Log.message("received", data, at, trip, verdict);
    if (trip !== null) {
      Trips.add(trip, at);
    }
    Traffic.heard(verdict);
  },
  error() {
    Log.note("onerror", "the connection failed; the browser does not tell a page why", true);
  },
  close(code, reason) {
    const said = reason ? ` “${reason}”` : "";
    Log.note("onclose", `${code}: ${Codes.inWords(code)}${said}`, code !== 1000);
  },
  refused: complain,
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
  remember();
  copyText(location.href, event.currentTarget);
});
reconnect.addEventListener("change", () => Connection.setAgain(reconnect.checked));
for (const id of ["url", "protocols", "kind", "message", "reconnect"]) {
  element(id).addEventListener("input", remember);
}
element("watch").addEventListener("click", () => {
  try {
    Watch.toggle(Settings.resolve(url.value));
  } catch (error) {
    complain(error.message);
  }
});
Watch.listen(remember);
addEventListener("hashchange", () => {
  recall();
  connect();
});

const settings = recall();
Endpoints.show((target) => {
  // On the server that the form names, which need not be the one that the page came from.
  const base = Settings.resolve(url.value);
  const full = new URL(target, base).href;
  url.value = new URL(base).host === new URL(Settings.home()).host ? target : full;
  connect();
  element("log-title").scrollIntoView({ block: "start" });
});
remember();
// A link may name any server: only the one that the page came from is connected to unasked.
if (new URL(Settings.resolve(settings.url)).host === new URL(Settings.home()).host) {
  connect();
  if (settings.watch) {
    Watch.toggle(Settings.resolve(settings.url));
  }
}
