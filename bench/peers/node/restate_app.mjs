// Restate's service: `run` says on a line of a TCP connection that it waits (`waits LANE ID`), and
// waits for its awakeable. What is asked is a step, so that it is asked once.
import http2 from "node:http2";
import net from "node:net";
import * as restate from "@restatedev/restate-sdk";

const clients = new Set();
net
  .createServer((socket) => {
    socket.setNoDelay(true);
    clients.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => clients.delete(socket));
  })
  .listen(Number(process.env.PEER_LINE_PORT), "127.0.0.1");

const bench = restate.service({
  name: "bench",
  handlers: {
    run: async (ctx, lane) => {
      const { id, promise } = ctx.awakeable();
      await ctx.run("ask", () => {
        for (const client of clients) client.write(`waits ${lane} ${id}\n`);
      });
      return await promise;
    },
  },
});

http2
  .createServer(restate.endpoint().bind(bench).http2Handler())
  .listen(Number(process.env.PEER_PORT), "127.0.0.1");
