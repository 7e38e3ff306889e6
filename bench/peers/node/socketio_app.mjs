// socket.io with its Redis Streams adapter: whoever connects hears the room `feed`, but for the
// publisher, on whose word events are emitted to it.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const redis = createClient({ url: process.env.PEER_REDIS_URL });
await redis.connect();
const http = createServer((_, reply) => reply.end("ok"));
const io = new Server(http, {
  adapter: createAdapter(redis),
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
  perMessageDeflate: false,
  serveClient: false,
  transports: ["websocket"],
  pingInterval: 120_000,
});

io.on("connection", (socket) => {
  if (socket.handshake.auth.role !== "publisher") socket.join("feed");
  socket.on("publish", (number, payload, acknowledge) => {
    for (let n = 0; n < number; n++) io.to("feed").emit("e", payload);
    acknowledge(number);
  });
});

http.listen(Number(process.env.PEER_PORT), "127.0.0.1");
