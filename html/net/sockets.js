// The page's side of the worker that holds the sockets.

export class Sockets {
  /** `script` is the URL of the module that runs in the worker. `onDropped` receives a number of messages not shown. */
  constructor(script, onDropped) {
    this.worker = new Worker(script, { type: "module", name: "sockets" });
    this.listeners = new Map();
    this.lastKey = 0;
    this.worker.onmessage = ({ data: { events, dropped } }) => {
      this.worker.postMessage({ type: "taken" });
      if (dropped > 0) {
        onDropped(dropped);
      }
      for (const event of events) {
        this.listeners.get(event.key)?.(event);
        if (event.type === "close" || event.type === "refused") {
          this.listeners.delete(event.key);
        }
      }
    };
  }

  /** Opens a socket and returns it. `listener` receives its events; the last one is `close` or `refused`. */
  open(url, protocols, listener) {
    this.lastKey += 1;
    const key = this.lastKey;
    this.listeners.set(key, listener);
    const post = (type, more = {}) => this.worker.postMessage({ type, key, ...more });
    post("open", { url, protocols });
    return {
      send: (draft) => post("send", { draft }),
      start: (run) => post("start", { run }),
      stop: () => post("stop"),
      close: (code, reason) => post("close", { code, reason }),
    };
  }
}
