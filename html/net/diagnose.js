// Explains a handshake that failed. Browsers do not tell a page the reason.
import { isPortBlocked } from "./blocked-ports.js";
import { httpUrl, isPageServer } from "./target.js";

/** Longest time for the answer of the server, in milliseconds. */
const TIMEOUT = 5000;

/** Longest sentence of the server that is shown, in characters. */
const MAX_SENTENCE = 300;

/** Returns a text that says why a handshake failed, as far as a page can know. Asks the server of the page. */
export async function explainFailure(url, protocols) {
  if (isPageServer(url)) {
    const answer = await ask(url);
    if (answer) {
      return `Connection failed: ${answer}`;
    }
  }
  const reasons = likelyReasons(url, protocols);
  return `Connection failed: browsers hide the reason; likely ${reasons.join(", or ")}.`;
}

/** Returns what the server answers to a plain request for the same URL; "" if that tells nothing. */
async function ask(url) {
  let response;
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    // Without credentials, the browser does not ask for a password at a 401.
    response = await fetch(httpUrl(url), { redirect: "manual", credentials: "omit", cache: "no-store", signal });
  } catch {
    return "the server does not answer. It has stopped, or the network is down.";
  }
  if (response.type === "opaqueredirect") {
    return "the server answered with a redirect, which browsers do not follow for WebSockets.";
  }
  // 426: the server would accept the handshake. A page tells nothing either.
  if (response.status === 426 || (response.ok && !new URL(url).pathname.startsWith("/status/"))) {
    return "";
  }
  const type = response.headers.get("Content-Type") ?? "";
  const sentence = type.startsWith("text/plain") ? (await response.text()).trim().slice(0, MAX_SENTENCE) : "";
  if (response.status === 404 && sentence.includes("accepts WebSocket upgrades")) {
    return "";
  }
  const status = `${response.status} ${response.statusText}`.trim();
  return `the server answered ${status}${sentence ? `: ${sentence}` : ""}`;
}

/** Returns the reasons that a page can know of. */
function likelyReasons(url, protocols) {
  const reasons = [];
  const isSecure = url.startsWith("wss:");
  if (isPortBlocked(url)) {
    return [`the port: browsers do not connect to port ${new URL(url).port || "80"}`];
  }
  if (!isSecure && location.protocol === "https:") {
    reasons.push("mixed content: a page over https: may only use wss:");
  }
  if (protocols.length > 0) {
    reasons.push(`the subprotocols: the server has to choose one of ${protocols.join(", ")}`);
  }
  if (isSecure) {
    reasons.push(`a certificate that this browser does not trust: open ${httpUrl(url)} in a tab to see`);
  }
  reasons.push(`no WebSocket server at ${new URL(url).host} or on this path`);
  return reasons;
}
