// URLs of servers.

/** URL of the server if the page was not loaded from one. */
const DEFAULT_SERVER = "ws://127.0.0.1:1234/";

const HELP = "Write a path of this server, as /echo, or a URL, as wss://example.org/ws";

/** Returns the WebSocket URL of the server of the page: `wss:` if the page was loaded over `https:`. */
export function pageServer() {
  if (location.protocol === "http:" || location.protocol === "https:") {
    return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`;
  }
  return DEFAULT_SERVER;
}

/** Returns the `http:` or `https:` form of a WebSocket URL. */
export const httpUrl = (url) => url.replace(/^ws/, "http");

/** Returns whether a WebSocket URL is on the server of the page. */
export const isPageServer = (url) => new URL(url).host === new URL(pageServer()).host;

/**
 * Returns the WebSocket URL for the text of the URL field. A text that begins with `/` is a path of the page's server. A
 * text without a scheme is a host: it gets `ws:` if it is an IP address, has a port or has no dot, and `wss:` otherwise.
 * Throws an error with a sentence if it is none of these.
 */
export function resolve(text) {
  const trimmed = text.trim() || "/";
  const complete = trimmed.startsWith("/") ? pageServer() + trimmed.slice(1) : withScheme(trimmed);
  let url;
  try {
    url = new URL(complete);
  } catch {
    throw new Error(`${trimmed} is not a URL. ${HELP}`);
  }
  url.hash = "";
  return url.href;
}

/** Adds `ws:` or `wss:` to a text that has no scheme, and replaces `http:` and `https:`. */
function withScheme(text) {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1].toLowerCase();
  if (scheme) {
    const name = scheme.replace(/^http/, "ws");
    if (name !== "ws" && name !== "wss") {
      throw new Error(`${scheme}: is not a scheme of WebSockets. ${HELP}`);
    }
    return name + text.slice(scheme.length);
  }
  const host = /^[^/?]*/.exec(text)[0];
  if (!/^(\[[0-9a-f:.]+\]|[\p{L}\p{N}._-]+)(:\d+)?$/iu.test(host)) {
    throw new Error(`${text} is not a URL. ${HELP}`);
  }
  const isLocal = host.startsWith("[") || /:\d+$/.test(host) || /^[\d.]+$/.test(host) || !host.includes(".");
  return `${location.protocol === "https:" || !isLocal ? "wss" : "ws"}://${text}`;
}
