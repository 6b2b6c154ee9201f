// Echo server of Bun, which is built on uWebSockets.
//
// Usage: echo.mjs [--tls CERT KEY] [--deflate]
const options = process.argv.slice(2);
const deflate = options.includes("--deflate");
const at = options.indexOf("--tls");
const tls = at < 0 ? undefined : { cert: Bun.file(options[at + 1]), key: Bun.file(options[at + 2]) };
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("", { status: 426 })),
  websocket: {
    perMessageDeflate: deflate,
    maxPayloadLength: 16 << 20,
    backpressureLimit: 64 << 20,
    message: (socket, data) => void socket.send(data, deflate),
  },
});
console.log(`listening on ${tls ? "wss" : "ws"}://127.0.0.1:${server.port}/`);
