// The page: connects, sends what is typed, and shows the four events of a WebSocket as they come.
"use strict";

/** Where the page connects when it was opened as a file and not from a server. */
const DEFAULT_SERVER = "ws://127.0.0.1:1234/";

/** Rows that the log keeps. */
const LOG_LIMIT = 500;

/** Close codes in words (RFC 6455, 7.4.1, and the registry that it set up). */
const CLOSE_CODES = {
  1000: "normal closure",
  1001: "going away: the server is shutting down, or the page was left",
  1002: "protocol error",
  1003: "unsupported kind of data",
  1005: "closed without a code",
  1006: "abnormal closure: the connection ended without a Close frame, or was never made",
  1007: "invalid data: a text message was not UTF-8",
  1008: "policy violation",
  1009: "message too big",
  1010: "a required extension is missing",
  1011: "internal error, or no sign of life",
  1012: "service restart",
  1013: "try again later",
  1014: "bad gateway",
  1015: "TLS handshake failed",
};

const element = (id) => document.getElementById(id);
const log = element("log");
let socket = null;

/** The server that the page came from; wss when the page came by https. */
function serverUrl() {
  if (location.protocol === "http:" || location.protocol === "https:") {
    return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`;
  }
  return DEFAULT_SERVER;
}

/** Adds a row to the log: the time, the event, and what there is to say about it. */
function show(event, what) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  const name = document.createElement("span");
  const text = document.createElement("span");
  time.textContent = new Date().toISOString().slice(11, 23);
  name.textContent = event;
  name.className = event;
  text.textContent = what;
  text.className = "what";
  row.append(time, name, text);
  log.append(row);
  while (log.childElementCount > LOG_LIMIT) {
    log.firstElementChild.remove();
  }
  log.scrollTop = log.scrollHeight;
}

/** A close code in words. */
function inWords(code) {
  if (CLOSE_CODES[code]) {
    return CLOSE_CODES[code];
  }
  return code >= 4000 ? "a code of the application's own" : "a code without a meaning here";
}

/** Shows whether there is a connection, and offers what can be done about it. */
function showState(text, open) {
  element("status").textContent = text;
  element("send").disabled = !open;
  element("connection").textContent = socket ? "Disconnect" : "Connect";
}

function connect() {
  const url = serverUrl();
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  showState(`Connecting to ${url} …`, false);
  socket.onopen = () => {
    show("onopen", url);
    showState(`Connected to ${url}`, true);
  };
  socket.onmessage = (event) => {
    const text = typeof event.data === "string";
    show("onmessage", text ? event.data : `${event.data.byteLength} bytes`);
  };
  socket.onerror = () => show("onerror", "the connection failed; the browser does not say why");
  socket.onclose = (event) => {
    const reason = event.reason ? ` “${event.reason}”` : "";
    show("onclose", `${event.code}: ${inWords(event.code)}${reason}`);
    socket = null;
    showState("Not connected", false);
  };
}

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket && socket.readyState === WebSocket.OPEN) {
    const message = element("message").value;
    socket.send(message);
    show("send", message);
  }
});

element("connection").addEventListener("click", () => {
  if (socket) {
    socket.close(1000);
  } else {
    connect();
  }
});

connect();
