// Has Slack's own client share a file, and writes what it asks of Slack: a line for
// each call, with the method's name and its arguments. The arguments of the program
// are a file's name, its content, a channel and a thread.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { WebClient } = require(require.resolve("@slack/web-api", { paths: [require.resolve("@slack/bolt")] }));

const [filename, content, channel, thread] = process.argv.slice(2);

// fields reads the arguments of a call, wherever they stand.
function fields(request, body) {
  const url = new URL(request.url, "http://slack.test");
  const type = request.headers["content-type"] ?? "";
  const given = type.includes("json") ? JSON.parse(body) : Object.fromEntries(type.includes("urlencoded") ? new URLSearchParams(body) : []);
  return { ...Object.fromEntries(url.searchParams), ...given };
}

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (piece) => (body += piece)).on("end", () => {
    const path = request.url.split("?")[0];
    const answer = (what) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(what));
    if (path === "/upload") {
      console.log(JSON.stringify(["upload", { has: body.includes(content) }]));
      return response.end("OK");
    }
    const got = fields(request, body);
    if (path === "/api/files.getUploadURLExternal") {
      console.log(JSON.stringify([path, { filename: got.filename, length: String(got.length) }]));
      return answer({ ok: true, file_id: "F9", upload_url: `http://127.0.0.1:${server.address().port}/upload` });
    }
    const files = typeof got.files === "string" ? JSON.parse(got.files) : got.files;
    console.log(JSON.stringify([path, { channel_id: got.channel_id, files, thread_ts: got.thread_ts }]));
    return answer({ ok: true, files: [{ id: "F9" }] });
  });
});

server.listen(0, "127.0.0.1", async () => {
  const quiet = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, getLevel: () => "error", setName() {} };
  const client = new WebClient("xoxb-1", { slackApiUrl: `http://127.0.0.1:${server.address().port}/api/`, logger: quiet });
  await client.filesUploadV2({ channel_id: channel, thread_ts: thread, file: Buffer.from(content), filename });
  server.close();
  server.closeAllConnections();
});
