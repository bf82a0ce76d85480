// One visitor and two agents go through the real pages against the real
// server, which is killed in between.
//   npm run walk            with ../../bin/colloquy, or the program in WALK_BIN
//   WALK_SHOTS=dir          keeps a picture of each stage
//   WALK_TARGET=fake        with the stand-in server, for work on the pages
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";
import { Server } from "./server.mjs";
import { Watch } from "./watch.mjs";

const patience = 45_000;
const trainMs = 120_000; // the machine may be busy with other things
const shots = process.env.WALK_SHOTS ?? "";
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const question = "订单2023什么时候发货？";
const greeting = "您好，我来帮您看看订单2023。";
const secret = "仅供内部：该客户是老会员 <b>VIP</b>";
const tricky = '<img src=x onerror="alert(1)"> javascript:alert(1) https://example.com/a';

const server = await Server.make();
const watch = new Watch();
const steps = [];
let browser;
let visitor;
let agent;
let frame;

async function shot(page, name) {
  if (shots !== "") await page.screenshot({ path: path.join(shots, `${name}.png`) });
}

async function open(name, { script, ...options }, address, origin = server.base) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "zh-CN", timezoneId: "Asia/Shanghai", ...options });
  const page = await context.newPage();
  if (script !== undefined) await page.addInitScript(script);
  page.setDefaultTimeout(patience);
  await watch.follow(page, name);
  await page.goto(origin + address);
  return page;
}

async function signIn(page, { email, password }) {
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", password);
  await page.press("[name=password]", "Enter");
  await page.waitForSelector(".presence.online");
}

/** say writes into the composer and sends with Enter. */
async function say(root, text) {
  await root.locator(".composer textarea").fill(text);
  await root.locator(".composer textarea").press("Enter");
}

/** bubble finds a message by who wrote it and a part of its text. */
const bubble = (root, who, text) => root.locator(`.row.${who} .bubble`, { hasText: text });

const step = (name, run) => steps.push({ name, run });

step("a visitor asks in Chinese and the bot answers", async () => {
  visitor = await open("visitor", {}, "/demo");
  await shot(visitor, "01-shop");
  await visitor.getByRole("button", { name: question }).first().click();
  frame = visitor.frameLocator("[data-colloquy] iframe");
  await frame.locator(".composer textarea").waitFor();
  assert.equal(await frame.locator(".composer textarea").inputValue(), question);
  await frame.locator(".composer textarea").press("Enter");
  await bubble(frame, "own", question).waitFor();
  await bubble(frame, "their.bot", "2023").waitFor();
  await frame.locator(".row.own .meta.read, .row.own .meta.stored").first().waitFor();
  await shot(visitor, "02-bot-answers");
});

step("Enter picks a candidate while an input method composes", async () => {
  const box = frame.locator(".composer textarea");
  await box.fill("nihao");
  await box.dispatchEvent("compositionstart");
  await box.press("Enter");
  assert.equal((await box.inputValue()).includes("nihao"), true);
  await box.dispatchEvent("compositionend");
  await box.fill("");
});

step("the visitor asks for a human and waits", async () => {
  await frame.locator(".human").click();
  await frame.locator(".mark", { hasText: "正在转接人工客服" }).waitFor();
  await frame.locator(".status.waiting").waitFor();
  await shot(visitor, "03-waiting");
});

step("an agent signs in and sees who waits, and why", async () => {
  agent = await open("agent", {}, "/agent");
  await shot(agent, "04-sign-in");
  await agent.fill("[name=email]", server.login.email);
  await signIn(agent, server.login);
  await agent.locator(".conversation").first().click();
  await bubble(agent, "their", question).waitFor();
  await agent.locator(".side .reasons", { hasText: "访客要求人工" }).waitFor();
  await agent.locator(".taken").first().waitFor();
  await agent.locator(".why summary").first().click();
  await shot(agent, "05-handover");
});

step("the agent claims, answers and leaves a note", async () => {
  await agent.locator("[data-do=claim]").click();
  await agent.locator(".mark", { hasText: `${server.login.name} 接手了会话` }).waitFor();
  await frame.locator(".status.live", { hasText: server.login.name }).waitFor();
  await agent.locator(".composer textarea").pressSequentially("您好");
  await frame.locator(".typing:not([hidden])").waitFor();
  await say(agent, greeting);
  await bubble(agent, "own.agent", greeting).waitFor();
  await bubble(frame, "their.agent", greeting).waitFor();
  await agent.locator(".modes button").nth(1).click();
  await say(agent, secret);
  await bubble(agent, "own.note", secret).waitFor();
  await agent.locator("#side-tag").fill("催发货");
  await agent.locator("#side-tag").press("Enter");
  await agent.locator(".side .chip.tag", { hasText: "催发货" }).waitFor();
  await agent.locator("#side-priority").selectOption("high");
  await agent.locator(".mark", { hasText: "优先级改为 高" }).waitFor();
  await shot(agent, "06-answered");
});

step("the agent judges an answer, and sees that the bot answers by itself", async () => {
  await agent.locator("[data-judge=wrong]").first().click();
  await agent.locator(".intents input").fill("refund");
  await agent.locator(".picker [data-intent]").first().click();
  await agent.locator(".verdict.wrong", { hasText: "refund" }).waitFor();
  assert.equal(await frame.locator(".verdict").count(), 0);
  await agent.locator(".account").click();
  await agent.getByRole("menuitem", { name: "机器人学习" }).click();
  await agent.locator(".standing[data-by-itself=true]").waitFor();
  await shot(agent, "06-learning");
  await agent.locator("dialog header button").click();
});

step("the visitor sends a picture, and the agent answers with a file", async () => {
  const red = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==", "base64");
  await frame.locator(".composer input[type=file]").setInputFiles({ name: "破损.png", mimeType: "image/png", buffer: red });
  await frame.locator(".tray .chip.done", { hasText: "破损.png" }).waitFor();
  await shot(visitor, "06-picture-chosen");
  await frame.locator(".composer .send").click();
  await frame.locator(".tray").waitFor({ state: "hidden" });
  for (const root of [frame, agent]) {
    await root.locator(".file.picture img").first().waitFor();
    await root.locator(".file.picture img").first().evaluate((img) => img.decode());
  }
  await agent.locator(".conversation.selected .preview, .conversation .preview", { hasText: "[破损.png]" }).first().waitFor();

  await frame.locator(".composer input[type=file]").setInputFiles({ name: "page.png", mimeType: "image/png", buffer: Buffer.from("<html><script>alert(1)</script>") });
  await frame.locator(".tray .chip.failed", { hasText: "不支持这种文件" }).waitFor();
  await frame.locator(".tray .remove").click();

  await agent.locator(".modes button").nth(0).click();
  await agent.locator(".composer input[type=file]").setInputFiles({ name: "说明.txt", mimeType: "text/plain", buffer: Buffer.from("请寄回商品") });
  await agent.locator(".tray .chip.done", { hasText: "说明.txt" }).waitFor();
  await say(agent, "请看说明");
  await bubble(frame, "their.agent", "请看说明").waitFor();
  const coming = visitor.waitForEvent("download");
  await frame.locator(".row.their .file", { hasText: "说明.txt" }).click();
  const download = await coming;
  assert.equal(download.suggestedFilename(), "说明.txt");
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), "请寄回商品");
  await shot(agent, "06-file-answered");
});

step("markup in a message stays text on both sides", async () => {
  await say(frame, tricky);
  await bubble(frame, "own", tricky).waitFor();
  await bubble(agent, "their", tricky).waitFor();
  for (const root of [frame, agent]) {
    assert.equal(await root.locator(".bubble img, .bubble b").count(), 0);
    for (const href of await root.locator(".bubble a").evaluateAll((links) => links.map((a) => a.href))) assert.match(href, /^https?:/);
  }
  await shot(visitor, "07-visitor-sees-answer");
});

step("a note never reaches the visitor", async () => {
  assert.equal(await frame.locator("body").getByText("仅供内部").count(), 0);
  assert.equal(watch.heard("visitor", "仅供内部"), false, "the note came over the visitor's socket");
  assert.equal(watch.heard("agent", "仅供内部"), true, "the check itself does not work");
  assert.equal(watch.heard("visitor", "催发货"), false, "a tag came over the visitor's socket");
});

step("a reload shows the whole conversation again", async () => {
  await visitor.reload();
  await visitor.evaluate(() => new Promise((done) => (window.colloquy ? done() : addEventListener("colloquy:ready", () => done(), { once: true }))));
  await visitor.evaluate(() => window.colloquy.open());
  frame = visitor.frameLocator("[data-colloquy] iframe");
  for (const [who, text] of [["own", question], ["their.bot", "2023"], ["their.agent", greeting], ["own", tricky]]) await bubble(frame, who, text).first().waitFor();
  await frame.locator(".mark", { hasText: `${server.login.name} 加入了会话` }).waitFor();
  assert.equal(await bubble(frame, "own", question).count(), 1);
  await shot(visitor, "08-reloaded");
});

step("the page is honest while the server is dead, and both sides come back by themselves", async () => {
  watch.down = true;
  await server.kill();
  await frame.locator(".banner:not([hidden])").waitFor();
  await agent.locator(".banner:not([hidden])").waitFor();
  await say(frame, "服务器重启前写下的话");
  await bubble(frame, "own", "服务器重启前写下的话").waitFor();
  await frame.locator(".meta.sending").waitFor();
  await shot(visitor, "09-server-dead");
  await server.start();
  await frame.locator(".banner[hidden]").waitFor({ state: "attached", timeout: 2 * patience });
  await agent.locator(".banner[hidden]").waitFor({ state: "attached", timeout: 2 * patience });
  watch.down = false;
  await bubble(agent, "their", "服务器重启前写下的话").waitFor();
  await agent.locator(".modes button").nth(0).click();
  await say(agent, "重启后我们继续。");
  await bubble(frame, "their.agent", "重启后我们继续。").waitFor();
  assert.equal(await bubble(frame, "own", "服务器重启前写下的话").count(), 1);
  assert.equal(await bubble(agent, "their", "服务器重启前写下的话").count(), 1);
  await frame.locator(".meta.sending").waitFor({ state: "detached" });
  await shot(agent, "10-back-again");
});

step("who claims second is told who was first", async () => {
  const colleague = await open("colleague", {}, "/agent");
  await signIn(colleague, server.fake ? { email: "tom@example.com", password: server.login.password } : await hireColleague());
  const phone = await open("phone", { viewport: { width: 390, height: 844 }, locale: "en-US", hasTouch: true, isMobile: true }, "/demo?lang=en");
  await shot(phone, "11-phone-shop");
  await phone.getByRole("button", { name: "Where is my parcel? Order 2024" }).first().click();
  const small = phone.frameLocator("[data-colloquy] iframe");
  await small.locator(".composer textarea").press("Enter");
  await bubble(small, "their.bot", "2024").first().waitFor();
  await small.locator(".human").click();
  await small.locator(".status.waiting").waitFor();
  await shot(phone, "12-phone-widget");
  for (const page of [agent, colleague]) {
    await page.locator(".tabs button").nth(0).click();
    await page.locator(".conversation").first().click();
    await page.locator("[data-do=claim]").waitFor();
  }
  let release;
  const first = new Promise((done) => (release = done));
  await colleague.route("**/claim", async (route) => {
    await first;
    await route.continue();
  });
  await colleague.locator("[data-do=claim]").click();
  await agent.locator("[data-do=claim]").click();
  await agent.locator(".mark", { hasText: `${server.login.name} 接手了会话` }).waitFor();
  release();
  await colleague.locator(".toast.bad", { hasText: server.login.name }).waitFor();
  await shot(colleague, "13-too-late");
  await agent.locator(".tabs button").nth(1).click();
  assert.equal(await agent.locator(".conversation").count(), 2);
});

step("a shop on another origin embeds the widget, once its inbox allows it", async () => {
  if (server.fake) return; // the stand-in serves one origin only
  const page = '<!doctype html><html lang="zh"><title>Another shop</title><link rel="icon" href="data:,"><h1>Another shop</h1><script src="{base}/widget.js" data-inbox="demo-shop" data-lang="zh"></script>';
  const shop = createServer((_, res) => res.setHeader("content-type", "text/html").end(page.replace("{base}", server.base)));
  await once(shop.listen(0, server.host), "listening");
  const origin = `http://${server.host}:${shop.address().port}`;
  try {
    const status = await agent.evaluate(async (origins) => {
      const response = await fetch("/v1/inboxes/demo-shop", { method: "PATCH", headers: { "content-type": "application/json", "x-colloquy-csrf": "console" }, body: JSON.stringify({ origins }) });
      return response.status;
    }, ["self", origin]);
    assert.equal(status, 200);
    const guest = await open("guest", {}, "", origin);
    await guest.getByRole("button", { name: "打开在线客服" }).click();
    const inside = guest.frameLocator("[data-colloquy] iframe");
    await say(inside, question);
    await bubble(inside, "their.bot", "2023").first().waitFor();
    await inside.getByRole("button", { name: "收起" }).click();
    await guest.locator("[data-colloquy] .panel[hidden]").waitFor({ state: "attached" });
    await shot(guest, "14-another-origin");
  } finally {
    shop.close();
  }
});

/** noSockets is what a page sees of a network that lets no WebSocket through. */
function noSockets() {
  window.WebSocket = class {
    constructor() {
      setTimeout(() => this.onclose?.({ code: 1006 }));
    }

    close() {
      // It never was open.
    }
  };
}

step("a visitor whose network lets no WebSocket through talks all the same", async () => {
  if (server.fake) return; // the stand-in has sockets only
  const fenced = await open("fenced", { script: noSockets }, "/demo");
  const streams = [];
  const posts = [];
  fenced.on("request", (r) => {
    if (r.url().endsWith("/v1/widget/events")) streams.push(r);
    if (r.url().endsWith("/v1/widget/frames")) posts.push(JSON.parse(r.postData()));
  });
  await fenced.getByRole("button", { name: question }).first().click();
  const box = fenced.frameLocator("[data-colloquy] iframe");
  await box.locator(".composer textarea").press("Enter");
  await bubble(box, "own", question).waitFor();
  await bubble(box, "their.bot", "2023").waitFor({ timeout: 2 * patience });
  await box.locator(".meta.sending").waitFor({ state: "detached" });
  assert.equal(streams.length, 1);
  assert.equal(posts.filter((p) => p.t === "message.send" && p.text === question).length, 1);
  watch.down = true;
  await server.kill();
  await box.locator(".banner:not([hidden])").waitFor();
  await say(box, "断线时写的话");
  await server.start();
  await box.locator(".banner[hidden]").waitFor({ state: "attached", timeout: 2 * patience });
  await box.locator(".meta.sending").waitFor({ state: "detached" });
  for (const page of [frame, agent]) await page.locator(".banner[hidden]").waitFor({ state: "attached", timeout: 2 * patience });
  watch.down = false;
  assert.equal(await bubble(box, "own", question).count(), 1);
  assert.equal(await bubble(box, "own", "断线时写的话").count(), 1);
  assert.ok(streams.length > 1);
  await shot(fenced, "14-no-websockets");
  await fenced.context().close();
});

step("a resolved conversation says so to the visitor", async () => {
  await agent.locator(".conversation", { hasText: "重启后我们继续" }).click();
  await bubble(agent, "own.agent", "重启后我们继续。").waitFor();
  await agent.locator("[data-do=resolve]").click();
  await frame.locator(".mark", { hasText: "会话已结束" }).waitFor();
  await agent.locator(".tabs button").nth(3).click();
  await agent.locator(".conversation").first().waitFor();
  await shot(visitor, "15-resolved");
});

step("an admin changes a pack, and the visitor's next question is answered by it", async () => {
  if (server.fake) return; // the stand-in has no packs
  const mascot = "你们店的吉祥物叫什么";
  const layer = (answer) => `colloquy: 1\npack: ecommerce\nextends: [ecommerce]\nlang: zh\n\nintents:\n  - id: mascot\n    title: 吉祥物\n    ask:\n      - ${mascot}\n      - 吉祥物是谁\n      - 那只吉祥物小鸟叫啥名字\n      - 吉祥物的名字\n      - 请问吉祥物叫什么名字\n    answer: "${answer}"\n    policy: {auto: 0.3, suggest: 0.2}\n`;
  await agent.getByRole("button", { name: "知识库" }).click();
  await agent.locator("[data-pack=ecommerce]").first().click();
  await agent.locator(".intent").first().waitFor();
  await agent.locator(".pack input[type=search]").fill("发货");
  await agent.locator(".intent", { hasText: "发货" }).first().locator("summary").click();
  await shot(agent, "16-knowledge");
  await agent.locator("[data-tab=text]").click();
  await agent.locator("[data-do=build-on]").click();
  const editor = agent.locator("[name=pack-text]");
  await editor.fill(layer("{nobody} 起的名字。"));
  await agent.locator("[data-do=check]").click();
  await agent.locator(".result .problem", { hasText: "nobody" }).waitFor();
  await agent.locator(".gutter b", { hasText: "7" }).waitFor();
  await shot(agent, "17-problem-at-its-line");
  await editor.fill(layer("它叫小雀。"));
  await agent.locator("[name=pack-try]").fill(mascot);
  await agent.locator("[name=pack-try]").press("Enter");
  await agent.locator(".tried", { hasText: "mascot" }).waitFor({ timeout: trainMs });
  await agent.locator("[name=pack-comment]").fill("吉祥物");
  await editor.press("Control+s");
  const saved = (n) => agent.locator(".pack > header", { hasText: `版本 ${n} ·` }).locator("[data-state=live]").waitFor({ timeout: trainMs });
  await saved(1);
  await shot(agent, "18-saved");
  const curious = await open("curious", {}, "/demo");
  await curious.evaluate(() => new Promise((done) => (window.colloquy ? done() : addEventListener("colloquy:ready", () => done(), { once: true }))));
  await curious.evaluate(() => window.colloquy.open());
  const box = curious.frameLocator("[data-colloquy] iframe");
  await box.locator(".composer textarea").waitFor();
  await say(box, mascot);
  await bubble(box, "their.bot", "它叫小雀。").waitFor();
  await editor.fill(layer("它叫云云。"));
  await agent.locator("[data-do=save]").click();
  await saved(2);
  await say(box, mascot);
  await bubble(box, "their.bot", "它叫云云。").waitFor();
  await agent.locator("[data-tab=versions]").click();
  await agent.locator("[data-version='1'] [data-do=compare]").click();
  await agent.locator(".diff .removed", { hasText: "它叫小雀。" }).waitFor();
  await agent.locator(".diff .added", { hasText: "它叫云云。" }).waitFor();
  await shot(agent, "19-versions");
  await agent.locator("[data-version='1'] [data-do=rollback]").click();
  await agent.locator("[data-do=sure]").click();
  await saved(3);
  await say(box, mascot);
  await bubble(box, "their.bot", "它叫小雀。").nth(1).waitFor();
  await agent.getByRole("button", { name: "知识库" }).click();
  await agent.locator(".list").waitFor();
});

step("the console works on a phone, in English and in the dark", async () => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: "en-US", colorScheme: "dark", hasTouch: true, isMobile: true, storageState: await agent.context().storageState() });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  await watch.follow(page, "pocket");
  await page.goto(`${server.base}/agent?lang=en`);
  await page.waitForSelector(".presence.online");
  await page.getByRole("button", { name: "Mine" }).click();
  await page.locator(".conversation").first().waitFor();
  await shot(page, "20-phone-list");
  await page.locator(".conversation").first().click();
  await page.locator(".row .bubble").first().waitFor();
  await shot(page, "21-phone-conversation");
  const fits = async () => assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false, "the page is wider than the phone");
  await fits();
  await page.getByRole("button", { name: "Back to the list" }).click();
  await page.locator(".list").waitFor();
  if (server.fake) return;
  await page.getByRole("button", { name: "Knowledge" }).click();
  await page.locator("[data-pack=ecommerce]").first().click();
  await page.locator(".intent").first().waitFor();
  await fits();
  await shot(page, "22-phone-knowledge");
  await page.locator("[data-tab=text]").click();
  await page.locator("[name=pack-text]").waitFor();
  await fits();
  await shot(page, "23-phone-text");
  await page.locator("[data-tab=versions]").click();
  await page.locator("[data-version='3']").waitFor();
  await fits();
  await page.locator(".pack .back").click();
  await page.locator(".packlist").waitFor();
});

step("the operations listener draws what the node does", async () => {
  if (server.fake) return;
  const page = await open("status", {}, "/status/", `http://${server.host}:${server.opsPort}`);
  await page.locator(".said", { hasText: "As of" }).waitFor();
  const panels = page.locator(".panel");
  await panels.filter({ hasText: "Messages" }).locator(".u-legend", { hasText: "web" }).waitFor();
  assert.equal(await page.locator(".panel canvas").count(), await panels.count());
  await page.locator(".sessions tbody tr").first().waitFor();
  await shot(page, "24-status");
});

step("no page complained", () => {
  const unexpected = watch.complaints.filter((c) => !(c.startsWith("colleague:") && c.includes("409")) && !(c.includes("400") && c.includes("/v1/widget/attachments?name=page.png")));
  assert.deepEqual(unexpected, []);
});

/** hireColleague makes a second agent through the console's own session. */
async function hireColleague() {
  const colleague = { name: "Tom", email: "tom@colloquy.example", password: "second-agent-password" };
  const status = await agent.evaluate(async (body) => {
    const response = await fetch("/v1/agents", { method: "POST", headers: { "content-type": "application/json", "x-colloquy-csrf": "console" }, body: JSON.stringify(body) });
    return response.status;
  }, colleague);
  assert.equal(status, 201);
  return colleague;
}

let passed = 0;
let failed = 0;
try {
  if (shots !== "") await mkdir(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
  await server.start();
  for (const { name, run } of steps) {
    const began = Date.now();
    await run();
    passed++;
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
  }
} catch (err) {
  failed = 1;
  console.log(`FAIL ${steps[passed]?.name ?? "start"}\n${err.stack}`);
  for (const c of watch.complaints) console.log(`  ${c}`);
  if (agent !== undefined) await shot(agent, "failed-agent").catch(() => undefined);
  if (visitor !== undefined) await shot(visitor, "failed-visitor").catch(() => undefined);
  console.log(server.log.slice(-3000));
} finally {
  await browser?.close();
  await server.remove();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed;
