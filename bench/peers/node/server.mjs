// The peer on Node's ws, with its defaults. Started with --expose-gc.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const welcome = '{"t":"welcome","session":"ws_1","epoch":"peer","heartbeat_ms":25000,"max_frame":32768}';
const resumed = '{"t":"resumed","complete":true}';
const conversation = "cnv_00000000000000000000000001";

const server = createServer();
const sockets = new WebSocketServer({ server, maxPayload: 32 << 10 });
sockets.on("connection", (ws) => {
  ws.on("error", () => ws.terminate());
  ws.on("message", (data) => {
    const m = JSON.parse(data.toString());
    if (m.t === "hello") {
      ws.send(welcome);
      ws.send(resumed);
      return;
    }
    const digits = m.client_id.slice(m.client_id.indexOf("-") + 1);
    ws.send(JSON.stringify({
      t: "ack", client_id: m.client_id, conversation_id: conversation, message_id: `${conversation}_${digits}`,
      seq: Number(digits) + 1, at: new Date().toISOString(), durable: true,
    }));
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ addr: `127.0.0.1:${server.address().port}` })));

createInterface({ input: process.stdin })
  .on("line", () => {
    globalThis.gc();
    globalThis.gc();
    const { rss, heapUsed } = process.memoryUsage();
    console.log(JSON.stringify({ rss, heap: heapUsed }));
  })
  .on("close", () => process.exit(0));
