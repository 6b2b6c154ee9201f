// The log as HTTP Archive (HAR 1.2), with the field `_webSocketMessages` that browsers write and read.
import { bytesOf, toBase64 } from "../base/bytes.js";
import { httpUrl } from "../net/target.js";

/** Returns entries as HAR. There is one archive entry for each connection that was opened. */
export function toHar(items, version) {
  const connections = [];
  const last = {};
  for (const { slot, entry } of items) {
    if (entry.kind === "note" && entry.name === "connected") {
      last[slot] = connection(entry);
      connections.push(last[slot]);
    } else if (entry.kind !== "note") {
      last[slot] ??= connections[connections.push(connection(entry)) - 1];
      last[slot]._webSocketMessages.push(message(entry));
    } else if (entry.code !== null && last[slot]) {
      Object.assign(last[slot], { _closeCode: entry.code, _closeReason: entry.reason });
      last[slot].time = entry.at - Date.parse(last[slot].startedDateTime);
      delete last[slot];
    }
  }
  const creator = { name: "ws-echo test page", version };
  return JSON.stringify({ log: { version: "1.2", creator, entries: connections } }, null, 1);
}

function message({ kind, at, data }) {
  const isText = typeof data === "string";
  return {
    type: kind === "sent" ? "send" : "receive",
    time: at / 1000,
    opcode: isText ? 1 : 2,
    data: isText ? data : toBase64(bytesOf(data)),
  };
}

function connection({ at, url }) {
  const sizes = { headersSize: -1, bodySize: -1 };
  return {
    startedDateTime: new Date(at).toISOString(),
    time: 0,
    request: { method: "GET", url: httpUrl(url), httpVersion: "HTTP/1.1", cookies: [], headers: [], queryString: [], ...sizes },
    response: {
      status: 101,
      statusText: "Switching Protocols",
      httpVersion: "HTTP/1.1",
      cookies: [],
      headers: [],
      content: { size: 0, mimeType: "x-unknown" },
      redirectURL: "",
      ...sizes,
    },
    cache: {},
    timings: { send: 0, wait: 0, receive: 0 },
    _resourceType: "websocket",
    _webSocketMessages: [],
  };
}
