// Writes the events of sockets into the log.
import { meaningOf } from "../net/codes.js";

/** Adds an event of a socket to a store. */
export function recordEvent(store, event) {
  const { at, url } = event;
  switch (event.type) {
    case "sent":
      store.addSent(event);
      break;
    case "received":
      store.addReceived(event);
      break;
    case "open": {
      const negotiated = [
        event.protocol && `subprotocol ${event.protocol}`,
        event.extensions && `extensions ${event.extensions}`,
      ];
      store.addNote(at, "connected", [url, ...negotiated.filter(Boolean)].join(", "), { url });
      break;
    }
    case "close":
      store.markUnanswered(event.unanswered);
      recordClose(store, event);
      break;
    case "failure":
      store.addNote(at, event.text, "", { url, bad: true });
      break;
    case "refused":
      store.addNote(at, "not connected", event.text, { url, bad: true });
      break;
  }
}

/** Adds the end of a connection. A failed handshake gets an entry of its own, once its cause is known. */
function recordClose(store, { at, url, code, reason, replaced, failed }) {
  if (failed) {
    return;
  }
  const quotedReason = reason ? ` “${reason}”` : "";
  const why = replaced ? ", replaced by a new connection" : "";
  const text = `${code} ${meaningOf(code)}${quotedReason}${why}`;
  store.addNote(at, "closed", text, { url, code, reason, bad: code !== 1000 && !replaced });
}
