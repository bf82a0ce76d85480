// Runs the Telegram server emulator, and a visitor in front of it. Each line on
// standard input is what the visitor writes; each line on standard output is what
// the bot wrote back. The first line is the address of the emulator's Bot API.
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import telegram from "telegram-test-api";

const token = process.argv[2];

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

const Server = telegram.TelegramServer ?? telegram.default ?? telegram;
const server = new Server({ host: "127.0.0.1", port: await freePort() });
await server.start();
const client = server.getClient(token, { timeout: 60_000, interval: 20, chatId: 77, userId: 77 });
console.log(server.config.apiURL);

server.on("AddedBotMessage", () => {
  const { message } = server.storage.botMessages.at(-1);
  console.log(JSON.stringify({ chat: message.chat_id, text: message.text }));
});
for await (const line of createInterface({ input: process.stdin })) {
  await client.sendMessage(client.makeMessage(JSON.parse(line)));
}
await server.stop();
