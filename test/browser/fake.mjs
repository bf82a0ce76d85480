// A stand-in for the server, for work on the pages: it speaks the client
// protocol, keeps everything in one JSON file, and knows three orders.
//   node fake.mjs --port 8080 --data /tmp/fake.json [--dist ../../console/dist]
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { WebSocketServer } from "ws";

const args = Object.fromEntries(process.argv.slice(2).join(" ").split("--").filter(Boolean).map((a) => a.trim().split(/\s+/)));
const dist = path.resolve(import.meta.dirname, args.dist ?? "../../console/dist");
const dataFile = args.data ?? "";
const agents = [
  { id: "mei", name: "陈小美", email: "mei@example.com", role: "admin" },
  { id: "tom", name: "Tom", email: "tom@example.com", role: "agent" },
];
const inboxes = [{ id: "demo-shop", name: "云雀生活" }, { id: "demo-school", name: "Skylark School" }];
const db = dataFile !== "" && existsSync(dataFile) ? JSON.parse(readFileSync(dataFile, "utf8")) : { epoch: rid(""), tokens: {}, sessions: {}, conversations: {} };
const sockets = new Set();

function rid(prefix) {
  const abc = "0123456789abcdefghjkmnpqrstvwxyz";
  return prefix + Array.from(randomBytes(26), (b) => abc[b % 32]).join("");
}
const save = () => dataFile !== "" && writeFileSync(dataFile, JSON.stringify(db));
const nameOf = (id) => agents.find((a) => a.id === id)?.name ?? id;

function append(c, ...events) {
  const entries = events.map(([type, data]) => ({ seq: c.entries.length + 1, at: new Date().toISOString(), type, data })).map((e, i) => ({ ...e, seq: c.entries.length + 1 + i }));
  for (const e of entries) {
    if (e.data.text !== undefined) e.data = { id: rid("msg_"), seq: e.seq, at: e.at, ...e.data };
    c.entries.push(e);
    fold(c.head, e);
  }
  save();
  for (const s of sockets) {
    for (const e of entries) tell(s, c, e);
    if (s.agent && s.inboxes.has(c.head.inbox)) s.send({ t: "event", conversation_id: c.head.id, seq: c.head.version, at: c.head.last_activity, type: "conversation.updated", data: c.head });
  }
  return entries;
}

function fold(h, e) {
  h.version = e.seq;
  h.last_activity = e.at;
  const d = e.data;
  if (d.text !== undefined && !d.note) Object.assign(h, { preview: d.text, preview_from: d.from });
  switch (e.type) {
    case "message.accepted": h.waiting_since ??= e.at; break;
    case "message.composed": case "message.replied": delete h.waiting_since; break;
    case "turn.completed": if (d.intent) h.intent = d.intent; break;
    case "conversation.handover": h.handover_reason = d.reason; h.waiting_since ??= e.at; break;
    case "conversation.assigned": Object.assign(h, { assignee: d.agent, assignee_name: d.name, handler: "agent", queue: "assigned" }); delete h.queued_at; break;
    case "conversation.unassigned": delete h.assignee; delete h.assignee_name; Object.assign(h, { handler: "none", queue: "queued", queued_at: e.at }); break;
    case "conversation.tags_changed": h.tags = [...new Set([...(h.tags ?? []).filter((t) => !(d.removed ?? []).includes(t)), ...(d.added ?? [])])].sort(); break;
    case "conversation.priority_changed": h.priority = d.to; break;
    case "conversation.status_changed": {
      h.status = d.to;
      delete h.snoozed_until;
      if (d.snoozed_until) h.snoozed_until = d.snoozed_until;
      if (d.to === "open") Object.assign(h, h.assignee ? { handler: "agent", queue: "assigned" } : { handler: "none", queue: "queued", queued_at: e.at });
      else {
        h.queue = "none";
        delete h.queued_at;
        if (d.to !== "snoozed") { delete h.assignee; delete h.assignee_name; }
        h.handler = d.to === "pending" ? "bot" : "none";
        if (d.to === "resolved") delete h.waiting_since;
      }
    }
  }
}

const hidden = new Set(["note.added", "turn.completed", "conversation.unassigned", "messages.delivered", "conversation.tags_changed", "conversation.priority_changed", "conversation.mood_changed", "conversation.anomaly_found"]);
function forVisitor(e) {
  const d = { ...e.data };
  delete d.agent; delete d.bot; delete d.by; delete d.reason; delete d.summary; delete d.intent; delete d.confidence;
  if (e.type === "messages.read") d.by = e.data.by;
  return { ...e, data: d };
}
function tell(s, c, e) {
  const id = c.head.id;
  if (s.agent ? s.follows.has(id) : s.contact === c.head.contact && !hidden.has(e.type)) s.send({ t: "event", conversation_id: id, ...(s.agent ? e : forVisitor(e)) });
}

function answer(c, turn, text) {
  const order = /20(23|24|25)/.exec(text)?.[0];
  const zh = /[\u4e00-\u9fff]/.test(text);
  const turned = (intent, confidence, more = {}) => ["turn.completed", { turn, intent, confidence, lang: zh ? "zh" : "en", model: "b41f0c9e", behavior: "playbook", ...more }];
  const reply = (t, intent, confidence, buttons) => ["message.composed", { from: "bot", in_reply_to_seq: turn, text: t, delivery: "sent", bot: { intent, confidence, model: "b41f0c9e", behavior: intent === "track_order" ? "flow order_status" : "playbook" }, ...(buttons && { buttons }) }];
  const toHuman = (reason, intent, confidence) => [["conversation.handover", { reason, intent, confidence, summary: order ? `订单 ${order}` : "" }], ["conversation.status_changed", { from: "pending", to: "open", trigger: "handover", reason }]];
  if (c.head.status !== "pending") return;
  if (/人工|human|agent/i.test(text)) {
    append(c, turned("talk_to_human", 0.99), reply(zh ? "好的，正在为您转接人工客服，请稍候。" : "Of course. I am handing you over to a colleague.", "talk_to_human", 0.99), ...toHuman("asked", "talk_to_human", 0.99));
  } else if (order !== undefined) {
    const says = { 2023: zh ? "订单2023已付款，正在仓库备货，预计明天 18:00 前发货。" : "Order 2023 is paid and being packed; it ships by 6 pm tomorrow.", 2024: zh ? "订单2024已由顺丰发出，单号 SF1234567890，预计后天送达。物流详情：https://example.com/track/SF1234567890" : "Order 2024 is on its way: https://example.com/track/SF1234567890", 2025: zh ? "订单2025已签收。" : "Order 2025 was delivered." };
    append(c, turned(order === "2023" ? "dispatch_time" : "track_order", 0.96, { slots: { order } }), reply(says[order], order === "2023" ? "dispatch_time" : "track_order", 0.96, zh ? [{ label: "修改收货地址", text: "我要修改收货地址" }, { label: "转人工", text: "转人工客服" }] : [{ label: "Talk to a human", text: "I want to talk to a human" }]));
  } else append(c, turned("", 0.31, { abstained: true }), reply(zh ? "抱歉，我没有完全理解。您想咨询的是：" : "Sorry, I did not quite get that. Is it about:", "", 0, zh ? [{ label: "查订单", text: "订单2024到哪里了？" }, { label: "退货", text: "我想退货" }, { label: "转人工", text: "转人工客服" }] : [{ label: "My order", text: "Where is my parcel? Order 2024" }]));
}

function say(contact, inbox, clientId, text) {
  let c = Object.values(db.conversations).find((x) => x.head.contact === contact && x.head.status !== "closed");
  const known = c?.entries.find((e) => e.data.client_id === clientId && e.type === "message.accepted");
  if (known) return { c, e: known, duplicate: true };
  const message = ["message.accepted", { from: "visitor", client_id: clientId, text }];
  if (c === undefined) {
    const now = new Date().toISOString();
    c = { entries: [], head: { id: rid("cnv_"), inbox, channel: "web", contact, status: "pending", handler: "bot", queue: "none", priority: "none", created_at: now, last_activity: now, version: 0 } };
    db.conversations[c.head.id] = c;
    append(c, ["conversation.started", { status: "pending", inbox, channel: "web", contact, handler: "bot" }]);
  }
  const [e] = append(c, message);
  if (c.head.status === "resolved") append(c, ["conversation.status_changed", { from: "resolved", to: "pending", trigger: "message" }]);
  if (c.head.status === "snoozed") append(c, ["conversation.status_changed", { from: "snoozed", to: "open", trigger: "message" }]);
  return { c, e, duplicate: false };
}

class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.problem = { type: `/problems/${code}`, title: detail, status, code, detail, request_id: rid("req_").slice(0, 20) };
  }
}
function conversation(id) {
  const c = db.conversations[id];
  if (c === undefined) throw new Refusal(404, "not_found", "there is no such conversation");
  return c;
}
function takeOver(c, me) {
  const h = c.head;
  if (h.assignee && h.assignee !== me.id) throw new Refusal(409, "already_claimed", `${h.assignee} has this conversation`);
  const out = [];
  if (h.assignee !== me.id) out.push(["conversation.assigned", { agent: me.id, name: me.name, by: me.id, claimed: true }]);
  if (h.status !== "open") out.push(["conversation.status_changed", { from: h.status, to: "open", trigger: "take_over", by: me.id }]);
  if (out.length > 0) append(c, ...out);
}
function act(c, me, action, body) {
  const change = (to, trigger, more = {}) => append(c, ["conversation.status_changed", { from: c.head.status, to, trigger, by: me.id, ...more }]);
  switch (action) {
    case "claim": return takeOver(c, me);
    case "assign": append(c, ["conversation.assigned", { agent: body.to, name: nameOf(body.to), by: me.id, before: c.head.assignee }]); return c.head.status !== "open" && change("open", "take_over");
    case "unassign": return append(c, ["conversation.unassigned", { agent: c.head.assignee, by: me.id }]);
    case "resolve": return change("resolved", "resolve");
    case "reopen": return change("open", "reopen");
    case "wake": return change("open", "wake");
    case "snooze": return change("snoozed", "snooze", { snoozed_until: body.until });
    case "return_to_bot": return change("pending", "return_bot");
    case "tags": return append(c, ["conversation.tags_changed", { by: me.id, added: body.tags.filter((t) => !(c.head.tags ?? []).includes(t)), removed: (c.head.tags ?? []).filter((t) => !body.tags.includes(t)) }]);
    case "priority": return append(c, ["conversation.priority_changed", { by: me.id, from: c.head.priority, to: body.priority }]);
    default: throw new Refusal(404, "not_found", "there is nothing at this address");
  }
}
const messagesOf = (c, notes) => c.entries.filter((e) => e.data.text !== undefined && (notes || e.type !== "note.added")).map((e) => (notes ? e : forVisitor(e)).data);

function api(method, url, headers, body) {
  const p = url.pathname;
  const me = agents.find((a) => a.id === db.sessions[/colloquy_session=(\w+)/.exec(headers.cookie ?? "")?.[1] ?? ""]);
  const contact = db.tokens[(headers.authorization ?? "").slice(7)];
  if (p === "/v1/widget/session") {
    const token = rid("vst_");
    db.tokens[token] = db.tokens[body.token] ?? rid("ctc_");
    save();
    return { token, contact: db.tokens[token], inbox: body.inbox, expires_at: new Date(Date.now() + 86_400_000).toISOString() };
  }
  if (p === "/v1/widget/conversations/current/messages") return { data: messagesOf(Object.values(db.conversations).find((c) => c.head.contact === contact), false) };
  if (p === "/v1/auth/setup" && method === "GET") return { open: false };
  if (p === "/v1/auth/login") {
    const a = agents.find((x) => x.email === body.email && body.password === "skylark-demo");
    if (a === undefined) throw new Refusal(401, "unauthenticated", "wrong");
    const s = rid("");
    db.sessions[s] = a.id;
    save();
    return { cookie: `colloquy_session=${s}; Path=/; HttpOnly; SameSite=Lax`, ...a, presence: "online" };
  }
  if (me === undefined) throw new Refusal(401, "unauthenticated", "no credential");
  if (method !== "GET" && !headers["x-colloquy-csrf"]) throw new Refusal(403, "csrf", "missing header");
  if (p === "/v1/profile") return { ...me, presence: "online" };
  if (p === "/v1/auth/logout") return { cookie: "colloquy_session=; Path=/; Max-Age=0" };
  if (p === "/v1/inboxes") return { data: inboxes };
  if (p === "/v1/agents") return { data: agents };
  if (p === "/v1/conversations") {
    const want = (url.searchParams.get("status") ?? "").split(",");
    return { data: Object.values(db.conversations).map((c) => c.head).filter((h) => want.includes(h.status)), meta: { has_more: false } };
  }
  const [, id, action] = /^\/v1\/conversations\/(\w+)(?:\/(\w+))?$/.exec(p) ?? [];
  if (id === undefined) throw new Refusal(404, "not_found", "there is nothing at this address");
  const c = conversation(id);
  if (action === undefined) return c.head;
  if (action === "messages") return { data: messagesOf(c, true) };
  if (action === "events") {
    const after = Number(url.searchParams.get("after_seq"));
    return { data: c.entries.slice(after, after + Number(url.searchParams.get("limit"))) };
  }
  act(c, me, action, body);
  return { version: c.head.version };
}

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
function page(p, res) {
  const file = path.join(dist, { "/demo": "demo/index.html", "/agent": "agent/index.html" }[p] ?? p);
  if (!file.startsWith(dist) || !existsSync(file) || path.extname(file) === "") return res.writeHead(404).end();
  res.writeHead(200, { "content-type": types[path.extname(file)] ?? "application/octet-stream", "content-security-policy": csp, "x-content-type-options": "nosniff", "cache-control": p.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache" });
  res.end(readFileSync(file));
}

const server = createServer((req, res) => {
  const url = new URL(req.url, "http://localhost");
  if (!url.pathname.startsWith("/v1/")) return page(url.pathname, res);
  let text = "";
  req.on("data", (d) => (text += d));
  req.on("end", () => {
    try {
      const { cookie, ...out } = api(req.method, url, req.headers, text === "" ? {} : JSON.parse(text));
      res.writeHead(200, { "content-type": "application/json", ...(cookie && { "set-cookie": cookie }) }).end(JSON.stringify(out));
    } catch (err) {
      const problem = err.problem ?? { status: 500, code: "internal", title: String(err) };
      res.writeHead(problem.status, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
    }
  });
});

const wss = new WebSocketServer({ server, handleProtocols: () => "colloquy.v1" });
wss.on("connection", (ws, req) => {
  const s = { agent: undefined, contact: undefined, follows: new Set(), inboxes: new Set(), send: (f) => ws.send(JSON.stringify(f)) };
  s.agent = req.url === "/v1/ws" ? agents.find((a) => a.id === db.sessions[/colloquy_session=(\w+)/.exec(req.headers.cookie ?? "")?.[1] ?? ""]) : undefined;
  ws.on("message", (data) => {
    const f = JSON.parse(data.toString());
    try {
      onFrame(s, ws, f, req.url);
    } catch (err) {
      s.send({ t: "error", ref: f.client_id ?? f.ref ?? "", problem: err.problem ?? { status: 500, code: "internal", title: String(err) } });
    }
  });
  ws.on("close", () => sockets.delete(s));
});

function catchUp(s, c, after) {
  for (const e of c.entries.slice(after)) tell(s, c, e);
}
function onFrame(s, ws, f, address) {
  if (f.t === "hello") {
    s.contact = db.tokens[f.token];
    if (address === "/v1/ws" ? s.agent === undefined : s.contact === undefined) return ws.close(3500, "invalid token");
    const c = Object.values(db.conversations).find((x) => x.head.contact === s.contact);
    s.send({ t: "welcome", session: rid("ws_").slice(0, 12), epoch: db.epoch, heartbeat_ms: 25000, max_frame: 65536, ...(s.agent ? { agent: s.agent } : { contact: s.contact, ...(c && { conversation: { id: c.head.id, status: c.head.status, agent: c.head.assignee_name, created_at: c.head.created_at, last_activity: c.head.last_activity, version: c.head.version } }) }) });
    sockets.add(s);
    for (const [id, after] of Object.entries(f.resume?.cursors ?? {})) {
      const x = db.conversations[id];
      if (x === undefined || (!s.agent && x.head.contact !== s.contact)) { s.send({ t: "reset", reason: "not_available", conversation_id: id }); continue; }
      s.follows.add(id);
      catchUp(s, x, after);
    }
    if (f.resume) s.send({ t: "resumed", complete: true });
    return;
  }
  if (f.t === "ping") return s.send({ t: "pong" });
  if (f.t === "typing") {
    const c = f.conversation_id ? db.conversations[f.conversation_id] : undefined;
    for (const o of sockets) if (c && o !== s && (o.agent ? o.follows.has(c.head.id) : o.contact === c.head.contact)) o.send({ t: "typing", conversation_id: c.head.id, on: f.on, from: s.agent ? "agent" : "visitor", ...(s.agent && { name: s.agent.name }) });
    return;
  }
  const ack = (c, e, duplicate) => s.send({ t: "ack", client_id: f.client_id, conversation_id: c.head.id, message_id: e.data.id, seq: e.seq, at: e.at, durable: true, duplicate });
  if (s.agent === undefined) {
    if (f.t === "message.send") {
      const { c, e, duplicate } = say(s.contact, "demo-shop", f.client_id, f.text);
      ack(c, e, duplicate);
      if (!duplicate) setTimeout(() => answer(c, e.seq, f.text), Number(args.slow ?? 60));
    } else if (f.t === "read") append(conversation(f.conversation_id), ["messages.read", { by: "visitor", up_to: f.seq }]);
    return;
  }
  const c = f.conversation_id ? conversation(f.conversation_id) : undefined;
  switch (f.t) {
    case "subscribe": if (f.inbox) s.inboxes.add(f.inbox); else { s.follows.add(c.head.id); catchUp(s, c, f.after ?? c.entries.length); } break;
    case "unsubscribe": s.follows.delete(f.conversation_id); break;
    case "read": append(c, ["messages.read", { by: "agent", agent: s.agent.id, up_to: f.seq }]); break;
    case "presence": s.send({ t: "presence", agent: s.agent.id, name: s.agent.name, state: f.state }); break;
    case "message.send": { takeOver(c, s.agent); const [e] = append(c, ["message.replied", { from: "agent", agent: s.agent.id, name: s.agent.name, client_id: f.client_id, text: f.text, delivery: "sent" }]); ack(c, e, false); break; }
    case "note.add": { const [e] = append(c, ["note.added", { from: "agent", note: true, agent: s.agent.id, name: s.agent.name, client_id: f.client_id, text: f.text }]); ack(c, e, false); break; }
  }
}
server.listen(Number(args.port ?? 8080), "127.0.0.1", () => console.log(`fake server on http://127.0.0.1:${server.address().port}`));
