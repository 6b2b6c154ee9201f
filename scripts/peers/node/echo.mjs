// Echo server with ws, after the documentation of that library.
//
// Usage: echo.mjs [--tls CERT KEY] [--deflate]
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { WebSocketServer } from "ws";

const options = process.argv.slice(2);
const at = options.indexOf("--tls");
const server =
  at < 0
    ? createServer()
    : createTlsServer({ cert: readFileSync(options[at + 1]), key: readFileSync(options[at + 2]) });
const sockets = new WebSocketServer({ server, perMessageDeflate: options.includes("--deflate") });
sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on ${at < 0 ? "ws" : "wss"}://127.0.0.1:${server.address().port}/`);
});
