// Room with Socket.IO. With REDIS_PORT, instances share it through its Redis adapter.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, pingInterval: 3_600_000 });
if (process.env.REDIS_PORT) {
  const publisher = createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}
io.on("connection", (socket) => socket.on("m", (text) => io.emit("m", text)));
http.listen(0, "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${http.address().port}/socket.io/?EIO=4&transport=websocket`);
});
