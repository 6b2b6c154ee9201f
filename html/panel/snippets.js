// Commands and code that connect to the same URL and send the same message.
import { bytesOf, toBase64 } from "../base/bytes.js";
import { httpUrl } from "../net/target.js";

/** Quotes a text for a shell. */
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Returns octal escapes for `printf`, which every shell knows. */
const octal = (bytes) => Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

const isText = (message) => typeof message === "string";

/** Returns a command that prints the message, without a line feed. */
function printed(message) {
  return isText(message) ? `printf '%s' ${quoted(message)}` : `printf ${quoted(octal(bytesOf(message)))}`;
}

/** Returns a JavaScript expression of the message. */
function jsLiteral(message) {
  return isText(message) ? JSON.stringify(message) : `new Uint8Array([${bytesOf(message).join(", ")}])`;
}

/** Returns a Python expression of the message. JSON strings are valid in Python but for a lone surrogate. */
function pythonLiteral(message) {
  return isText(message) ? JSON.stringify(message) : `base64.b64decode("${toBase64(bytesOf(message))}")`;
}

const protocolsOf = (protocols) => (protocols.length > 0 ? `, ${JSON.stringify(protocols)}` : "");

function javascript(socket, { message }) {
  const print = isText(message) ? "event.data" : "new Uint8Array(event.data)";
  return [
    socket,
    ...(isText(message) ? [] : ['socket.binaryType = "arraybuffer";']),
    `socket.onopen = () => socket.send(${jsLiteral(message)});`,
    "socket.onmessage = (event) => {",
    `  console.log(${print});`,
    "  socket.close(1000);",
    "};",
    "socket.onclose = (event) => console.log(event.code, event.reason);",
  ].join("\n");
}

/**
 * Functions that return the command or the code, by the name of the tool. Each takes `url`, `protocols`, `message`, and the
 * `prefix` of text replies.
 */
export const TOOLS = {
  websocat({ url, protocols, message }) {
    const options = protocols.length > 0 ? ` --protocol ${quoted(protocols.join(","))}` : "";
    const kind = isText(message) ? "--text" : "--binary";
    // Without --no-close, it closes at the end of its input, before a reply that takes a while.
    return `${printed(message)} | websocat --no-line --no-close --one-message ${kind}${options} ${quoted(url)}`;
  },
  wscat({ url, protocols, message }) {
    const options = protocols.map((name) => ` --subprotocol ${quoted(name)}`).join("");
    if (!isText(message)) {
      return "# wscat sends no binary messages from its command line.";
    }
    return `wscat --connect ${quoted(url)}${options} --wait 2 --execute ${quoted(message)}`;
  },
  "JavaScript in a browser": (call) =>
    javascript(`const socket = new WebSocket(${JSON.stringify(call.url)}${protocolsOf(call.protocols)});`, call),
  "JavaScript for Node, with the package ws": (call) =>
    javascript(
      `const WebSocket = require("ws");\nconst socket = new WebSocket(${JSON.stringify(call.url)}${protocolsOf(call.protocols)});`,
      call,
    ),
  "Python, with the package websockets"({ url, protocols, message }) {
    const names = protocols.length > 0 ? `, subprotocols=${JSON.stringify(protocols)}` : "";
    return [
      ...(isText(message) ? [] : ["import base64"]),
      "from websockets.sync.client import connect",
      "",
      `with connect(${JSON.stringify(url)}${names}) as socket:`,
      `    socket.send(${pythonLiteral(message)})`,
      "    print(socket.recv(timeout=10))",
    ].join("\n");
  },
  "curl (shows the handshake)"({ url, protocols }) {
    const fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    fields.push("Sec-WebSocket-Key: f7cb4ezEAl6C3wRaU6JORA==");
    if (protocols.length > 0) {
      fields.push(`Sec-WebSocket-Protocol: ${protocols.join(", ")}`);
    }
    const options = fields.map((field) => ` \\\n  --header ${quoted(field)}`).join("");
    return `curl --include --no-buffer --http1.1 --max-time 2${options} \\\n  ${quoted(httpUrl(url))}`;
  },
  "ws-load"({ url, protocols, message, prefix }) {
    const options = protocols.map((name) => ` --subprotocol ${quoted(name)}`).join("");
    const size = Math.max(1, bytesOf(message).length);
    const kind = isText(message) ? "" : " --binary";
    const expected = isText(message) && prefix ? ` --expect-prefix ${quoted(prefix)}` : "";
    return `ws-load ${quoted(url)}${options} --connections 10 --duration 5s --size ${size}${kind}${expected}`;
  },
};
