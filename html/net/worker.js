// The worker: opens sockets, and takes times where no drawing delays them.
import { encode } from "../compose/payload.js";
import { PendingEchoes } from "./echoes.js";
import { Reporter } from "./reporter.js";
import { Traffic } from "./traffic.js";

/** Number of the last sent message of all sockets. */
let lastId = 0;

const now = () => performance.timeOrigin + performance.now();

/** One WebSocket. `report` receives its events. */
class Socket {
  constructor(report, url, protocols) {
    this.report = report;
    this.echoes = new PendingEchoes();
    this.traffic = null;
    this.sentCount = 0;
    const socket = new WebSocket(url, protocols);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      report({ type: "open", at: now(), protocol: socket.protocol, extensions: socket.extensions });
    };
    socket.onmessage = (event) => this.received(event.data, now());
    socket.onclose = ({ code, reason }) => this.closed(code, reason);
  }

  get buffered() {
    return this.socket.bufferedAmount;
  }

  /** Sends a message. */
  send(data) {
    lastId += 1;
    this.sentCount += 1;
    const at = now();
    this.echoes.sent(lastId, data, at);
    this.socket.send(data);
    this.report({ type: "sent", id: lastId, at, data });
  }

  /** Sends the message of a draft. */
  sendDraft(draft) {
    this.send(encode(draft, this.sentCount + 1));
  }

  received(data, at) {
    const match = this.echoes.received(data, at);
    this.report({ type: "received", at, data, ...match });
    this.traffic?.onReply(match.verdict);
  }

  closed(code, reason) {
    const at = now();
    this.traffic?.finish("the connection ended");
    this.report({ type: "close", at, code, reason, unanswered: this.echoes.drain() });
  }

  start(run) {
    this.traffic?.finish("replaced");
    this.traffic = null;
    const traffic = new Traffic(this, (figures) => this.report({ type: "progress", ...figures }), run);
    // A run that has ended in its first slice is over.
    this.traffic = traffic.timer ? traffic : null;
  }

  close(code, reason) {
    if (this.socket.readyState === WebSocket.CONNECTING) {
      this.socket.close();
    } else {
      this.socket.close(code, reason);
    }
  }
}

/** Serves the commands of the page. */
export function serveSockets() {
  const sockets = new Map();
  const reporter = new Reporter((batch, buffers) => postMessage(batch, buffers));
  const commands = {
    taken: () => reporter.taken(),
    open({ key, url, protocols }) {
      const report = (event) => {
        reporter.add({ key, ...event });
        if (event.type === "close") {
          sockets.delete(key);
        }
      };
      try {
        sockets.set(key, new Socket(report, url, protocols));
      } catch (error) {
        report({ type: "refused", at: now(), text: error.message });
      }
    },
    send: ({ draft }, socket) => socket.sendDraft(draft),
    start: ({ run }, socket) => socket.start(run),
    stop: (_, socket) => socket.traffic?.finish("stopped"),
    close: ({ code, reason }, socket) => socket.close(code, reason),
  };
  addEventListener("message", ({ data: command }) => {
    const socket = sockets.get(command.key);
    if (!socket && command.type !== "open" && command.type !== "taken") {
      return;
    }
    try {
      commands[command.type](command, socket);
    } catch (error) {
      reporter.add({ key: command.key, type: "problem", at: now(), text: error.message });
    }
  });
}
