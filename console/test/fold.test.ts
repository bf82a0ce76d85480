import { describe, expect, it } from "vitest";
import type { Entry, Message, StatusData } from "../src/sdk/frames.ts";
import { emptyHead, foldHead } from "../src/sdk/head.ts";
import { place, prepend } from "../src/sdk/history.ts";
import { Store } from "../src/sdk/store.ts";
import { emptyTimeline, foldTimeline, unreadOf } from "../src/sdk/timeline.ts";
import { found, inOrder, matches } from "../src/agent/filter.ts";
import { linesOf } from "../src/agent/talkrows.ts";
import { rowsOf } from "../src/widget/rows.ts";

const at = "2026-11-23T08:30:15Z";
const says = (seq: number, from: Message["from"], text: string, more: Partial<Message> = {}): Entry => ({
  seq, at, type: from === "visitor" ? "message.accepted" : from === "bot" ? "message.composed" : "message.replied",
  data: { id: `msg_${seq}`, seq, at, from, text, ...more },
});
const status = (seq: number, to: "pending" | "open" | "snoozed" | "resolved", trigger: StatusData["trigger"] = "wake"): Entry => ({ seq, at, type: "conversation.status_changed", data: { to, trigger } });

describe("foldHead", () => {
  const open = [status(1, "open"), { seq: 2, at, type: "conversation.assigned", data: { name: "Mei", agent: "mei" } }] as Entry[];

  it("queues what is open and has no assignee", () => {
    expect(foldHead(emptyHead("c"), status(1, "open"))).toMatchObject({ status: "open", queue: "queued", handler: "none", queued_at: at });
  });

  it("frees the assignee when it is resolved or goes back to the bot", () => {
    const assigned = open.reduce(foldHead, emptyHead("c"));
    expect(assigned).toMatchObject({ assignee: "mei", assignee_name: "Mei" });
    expect(foldHead(assigned, status(3, "resolved")).assignee).toBeUndefined();
    expect(foldHead(assigned, status(3, "pending"))).toMatchObject({ handler: "bot", queue: "none" });
  });

  it("ignores what it has already", () => {
    const head = open.reduce(foldHead, emptyHead("c"));
    expect(foldHead(head, status(2, "resolved"))).toBe(head);
  });

  it("shows a mood with its reasons, and forgets it when it is over", () => {
    const angry = foldHead(emptyHead("c"), { seq: 1, at, type: "conversation.mood_changed", data: { from: "calm", to: "angry", reasons: ["threat", "sudden"] } });
    expect(angry).toMatchObject({ mood: "angry", mood_reasons: ["threat", "sudden"] });
    const calm = foldHead(angry, { seq: 2, at, type: "conversation.mood_changed", data: { from: "angry", to: "calm" } });
    expect(calm.mood).toBeUndefined();
    expect(calm.mood_reasons).toBeUndefined();
    expect(foldHead(angry, status(2, "resolved")).mood).toBeUndefined();
  });

  it("shows agents what a calm visitor said", () => {
    const head = foldHead(emptyHead("c"), { seq: 1, at, type: "conversation.mood_changed", data: { from: "calm", to: "calm", reasons: ["abuse"] } });
    expect(head.mood).toBeUndefined();
    expect(head.mood_reasons).toEqual(["abuse"]);
  });

  it("knows when an anomaly was told last", () => {
    const told = (seq: number, anomaly: "slow" | "stuck", when: string): Entry => ({ seq, at: when, type: "conversation.anomaly_found", data: { anomaly, explanation: "" } });
    const head = [told(1, "slow", "2026-01-01T00:00:00Z"), told(2, "stuck", at), told(3, "slow", at)].reduce(foldHead, emptyHead("c"));
    expect(head.anomalies).toEqual([{ kind: "stuck", at }, { kind: "slow", at }]);
  });

  it("adds and removes tags once each", () => {
    const head = foldHead({ ...emptyHead("c"), tags: ["b"] }, { seq: 1, at, type: "conversation.tags_changed", data: { added: ["a", "b"], removed: ["x"] } });
    expect(head.tags).toEqual(["a", "b"]);
  });
});

describe("Store", () => {
  it("tells a gap to those who see everything, and not to visitors", () => {
    const store = new Store();
    store.open("c");
    expect(store.fold({ t: "event", conversation_id: "c", ...says(3, "visitor", "hi") }, "opened")).toBe("gap");
    expect(store.fold({ t: "event", conversation_id: "c", ...says(3, "visitor", "hi") }, "all")).toBe("new");
    expect(store.cursors()).toEqual({ c: 3 });
  });

  it("keeps no timeline of what an agent has not opened", () => {
    const store = new Store();
    store.fold({ t: "event", conversation_id: "c", ...says(1, "visitor", "hi") }, "opened");
    expect(store.lines.size).toBe(0);
  });

  it("joins fetched entries with what came live meanwhile", () => {
    const store = new Store();
    foldTimeline(store.open("c"), says(7, "agent", "live"));
    const line = place(store, "c", [says(5, "visitor", "a"), says(6, "bot", "b")], { after: 4, version: 6 });
    expect(line.items.map((i) => i.seq)).toEqual([5, 6, 7]);
    expect(line.version).toBe(7);
    prepend(line, [says(3, "visitor", "x"), says(4, "bot", "y"), says(5, "visitor", "a")], 2);
    expect(line.items.map((i) => i.seq)).toEqual([3, 4, 5, 6, 7]);
    expect(line.from).toBe(2);
  });
});

describe("unreadOf", () => {
  it("counts what the others said after the mark", () => {
    const line = emptyTimeline();
    for (const e of [says(1, "visitor", "a"), says(2, "bot", "b"), says(3, "agent", "c")]) foldTimeline(line, e);
    expect(unreadOf(line, "visitor")).toBe(2);
    foldTimeline(line, { seq: 4, at, type: "messages.read", data: { by: "visitor", up_to: 2 } });
    expect(unreadOf(line, "visitor")).toBe(1);
    expect(unreadOf(line, "agent")).toBe(0);
  });
});

describe("rowsOf", () => {
  it("shows ticks, quick replies under the newest message only, and what is unsent at the end", () => {
    const store = new Store();
    const fold = (e: Entry) => store.fold({ t: "event", conversation_id: "c", ...e }, "all");
    fold(says(1, "visitor", "q", { client_id: "r1" }));
    expect(rowsOf(store, []).at(-1)?.item).toMatchObject({ tick: "stored" });
    fold(says(2, "bot", "a", { buttons: [{ label: "Yes", text: "yes" }] }));
    expect(rowsOf(store, []).map((r) => r.item.kind)).toEqual(["day", "bubble", "bubble"]);
    expect(rowsOf(store, [])[1]?.item).toMatchObject({ tick: "read" });
    expect(rowsOf(store, [])[2]?.item).toMatchObject({ buttons: [{ label: "Yes" }] });
    const unsent = rowsOf(store, [{ client_id: "r2", kind: "message", text: "later", at }]);
    expect(unsent.at(-1)?.item).toMatchObject({ tick: "sending", text: "later" });
    expect(unsent[2]?.item).toMatchObject({ buttons: [] });
  });

  it("keeps the key of a message from sending to stored", () => {
    const store = new Store();
    const before = rowsOf(store, [{ client_id: "r1", kind: "message", text: "q", at }]).at(-1)?.key;
    store.fold({ t: "event", conversation_id: "c", ...says(1, "visitor", "q", { client_id: "r1" }) }, "all");
    expect(rowsOf(store, []).at(-1)?.key).toBe(before);
  });
});

describe("filters", () => {
  const row = (id: string, more: object) => ({ ...emptyHead(id), inbox: "shop", last_activity: at, ...more });

  it("put urgent before early in the queue", () => {
    const rows = [
      row("a", { queued_at: "2026-11-23T08:00:00Z" }), row("b", { queued_at: "2026-11-23T07:00:00Z" }), row("c", { priority: "urgent", queued_at: "2026-11-23T09:00:00Z" }),
    ];
    expect(inOrder(rows, "waiting").map((r) => r.id)).toEqual(["c", "b", "a"]);
  });

  it("tell waiting, mine, open and resolved apart", () => {
    const waiting = row("a", { status: "open", queue: "queued" });
    const mine = row("b", { status: "open", queue: "assigned", assignee: "mei" });
    expect(matches(waiting, "waiting", "mei")).toBe(true);
    expect(matches(mine, "waiting", "mei")).toBe(false);
    expect(matches(mine, "mine", "mei")).toBe(true);
    expect(matches(mine, "mine", "tom")).toBe(false);
    expect(matches(row("c", { status: "pending" }), "all", "mei")).toBe(true);
    expect(matches(row("d", { status: "closed" }), "resolved", "mei")).toBe(true);
  });

  it("find all words in any field", () => {
    const s = row("a", { preview: "订单2023什么时候发货", tags: ["VIP"] });
    expect(found(s, "2023 vip")).toBe(true);
    expect(found(s, "2023 nobody")).toBe(false);
  });
});

describe("verdicts", () => {
  const judged = (seq: number, by: "visitor" | "agent", verdict: "right" | "wrong", more: { agent?: string; intent?: string } = {}): Entry => ({
    seq, at, type: "answer.judged", data: { by, answer: 2, turn: 1, verdict, ...more },
  });

  it("keeps the latest of each judge beside the answer", () => {
    const line = emptyTimeline();
    const entries = [
      says(1, "visitor", "where"), says(2, "bot", "here", { bot: { intent: "order_status" } }),
      judged(3, "visitor", "right"), judged(4, "agent", "wrong", { agent: "mei" }), judged(5, "agent", "wrong", { agent: "mei", intent: "refund" }), judged(6, "agent", "right", { agent: "li" }),
    ];
    for (const e of entries) foldTimeline(line, e);
    const answer = line.items.find((i) => i.seq === 2);
    expect(answer?.kind === "message" ? answer.judged?.map((j) => [j.by, j.agent, j.verdict, j.intent]) : []).toEqual([
      ["visitor", undefined, "right", undefined], ["agent", "mei", "wrong", "refund"], ["agent", "li", "right", undefined],
    ]);
    expect(line.items).toHaveLength(2);
  });

  it("makes the row of the answer anew", () => {
    const line = emptyTimeline();
    foldTimeline(line, says(1, "visitor", "where"));
    foldTimeline(line, says(2, "bot", "here", { bot: { intent: "order_status" } }));
    const before = linesOf(line, []).find((l) => l.key === "s:2")?.version;
    foldTimeline(line, judged(3, "agent", "wrong", { agent: "mei" }));
    expect(linesOf(line, []).find((l) => l.key === "s:2")?.version).not.toBe(before);
  });

  it("asks the visitor about the newest answer only", () => {
    const store = new Store();
    store.seed({ ...emptyHead("c"), created_at: at });
    place(store, "c", [says(1, "visitor", "a"), says(2, "bot", "b"), says(3, "visitor", "c"), says(4, "bot", "d")], { after: 0, version: 4 });
    const asked = rowsOf(store, []).filter((r) => r.item.kind === "bubble" && r.item.answer !== undefined);
    expect(asked.map((r) => r.key)).toEqual(["c:4"]);
  });
});
