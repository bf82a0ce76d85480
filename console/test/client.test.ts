import { describe, expect, it } from "vitest";
import { newClient } from "../src/sdk/client.ts";
import type { Trouble } from "../src/sdk/frames.ts";
import type { Shelf, Unsent } from "../src/sdk/outbox.ts";
import { memoryShelf, newOutbox } from "../src/sdk/outbox.ts";
import { Store } from "../src/sdk/store.ts";
import { World } from "./world.ts";

const conv = "cnv_041061050r3gg28a1c60t3gf20";

function visitor(world: World, shelf: Shelf) {
  const refused: Trouble[] = [];
  const client = newClient({
    url: "ws://test/v1/widget/ws", store: new Store(), runtime: world, shelf, outboxKey: "out", placeKey: "place",
    credentials: { token: () => Promise.resolve("vst_1"), renew: () => Promise.resolve() },
    follow: "all", listener: { onChange: () => undefined, onRefused: (_, problem) => refused.push(problem) },
  });
  return { client, refused };
}

function sends(sent: Record<string, unknown>[]) {
  return sent.filter((f) => f["t"] === "message.send");
}

function ack(frame: Record<string, unknown> | undefined, seq: number) {
  return { t: "ack", client_id: frame?.["client_id"], conversation_id: conv, message_id: "msg_1", seq, at: "2026-11-23T08:30:15Z", durable: true, duplicate: false };
}

describe("Outbox", () => {
  const entry = (id: string): Unsent => ({ client_id: id, kind: "message", text: id, at: "2026-11-23T08:00:00Z" });

  it("survives a reload in order", () => {
    const shelf = memoryShelf();
    const before = newOutbox(shelf, "k");
    before.add(entry("a"));
    before.add(entry("b"));
    before.take();
    const after = newOutbox(shelf, "k");
    expect(after.all().map((e) => e.client_id)).toEqual(["a", "b"]);
    expect(after.take()?.client_id).toBe("a");
  });

  it("has one entry on its way at a time", () => {
    const box = newOutbox(memoryShelf(), "k");
    box.add(entry("a"));
    box.add(entry("b"));
    expect(box.take()?.client_id).toBe("a");
    expect(box.take()).toBeUndefined();
    box.settle("a");
    expect(box.take()?.client_id).toBe("b");
  });

  it("keeps a refused entry until the person decides, and lets the next one pass", () => {
    const box = newOutbox(memoryShelf(), "k");
    box.add(entry("a"));
    box.add(entry("b"));
    box.take();
    box.refuse("a", "text_too_long");
    expect(box.take()?.client_id).toBe("b");
    box.settle("b");
    box.refuse("a");
    expect(box.take()?.client_id).toBe("a");
  });

  it.each(["{", "null", "[1,{}]", '"x"'])("starts empty from a broken store: %s", (text) => {
    const shelf = memoryShelf();
    shelf.setItem("k", text);
    expect(newOutbox(shelf, "k").all()).toEqual([]);
  });

  it("refuses more than it may hold", () => {
    const box = newOutbox(memoryShelf(), "k");
    for (let i = 0; i < 100; i++) expect(box.add(entry(`m${i}`))).toBe(true);
    expect(box.add(entry("more"))).toBe(false);
  });

  it("works on when the store is full", () => {
    const box = newOutbox({ ...memoryShelf(), setItem: () => { throw new Error("quota"); } }, "k");
    expect(box.add(entry("a"))).toBe(true);
    expect(box.take()?.client_id).toBe("a");
  });
});

describe("Client", () => {
  it("resends what was not acknowledged, in order and with the same ids, after a lost connection and a reload", async () => {
    const world = new World();
    const shelf = memoryShelf();
    const first = visitor(world, shelf);
    first.client.start();
    const s1 = await world.welcome();
    first.client.say("one");
    first.client.say("two");
    expect(sends(s1.sent).map((f) => f["text"])).toEqual(["one"]);
    const id = sends(s1.sent)[0]?.["client_id"];
    s1.fail(1006);
    first.client.stop();

    const second = visitor(world, shelf);
    second.client.start();
    const s2 = await world.welcome();
    expect(sends(s2.sent)).toEqual([{ t: "message.send", client_id: id, text: "one" }]);
    s2.say(ack(sends(s2.sent)[0], 2));
    expect(sends(s2.sent).map((f) => f["text"])).toEqual(["one", "two"]);
    s2.say(ack(sends(s2.sent)[1], 4));
    expect(second.client.outbox.all()).toEqual([]);
    expect(shelf.getItem("out")).toBeNull();
  });

  it("takes the event of its own message for an acknowledgment", async () => {
    const world = new World();
    const { client } = visitor(world, memoryShelf());
    client.start();
    const s = await world.welcome();
    client.say("hello");
    const ref = sends(s.sent)[0]?.["client_id"];
    s.say({ t: "event", conversation_id: conv, seq: 2, at: "2026-11-23T08:30:15Z", type: "message.accepted", data: { id: "msg_1", seq: 2, at: "2026-11-23T08:30:15Z", from: "visitor", text: "hello", client_id: ref } });
    expect(client.outbox.all()).toEqual([]);
    expect(client.store.lines.get(conv)?.items).toHaveLength(1);
  });

  it("repeats a send whose answer does not come", async () => {
    const world = new World();
    const { client } = visitor(world, memoryShelf());
    client.start();
    const s = await world.welcome();
    client.say("hello");
    await world.pass(10_000);
    s.say({ t: "pong" });
    await world.pass(5_000);
    expect(new Set(sends(s.sent).map((f) => f["client_id"])).size).toBe(1);
    expect(sends(s.sent)).toHaveLength(2);
  });

  it("waits as long as it is told when the server is busy, and gives up on a refusal", async () => {
    const world = new World();
    const { client, refused } = visitor(world, memoryShelf());
    client.start();
    const s = await world.welcome();
    client.say("hello");
    const ref = sends(s.sent)[0]?.["client_id"];
    s.say({ t: "error", ref, problem: { status: 429, code: "rate_limited", retry: true, retry_after_ms: 3000 } });
    await world.pass(2_900);
    expect(sends(s.sent)).toHaveLength(1);
    await world.pass(200);
    expect(sends(s.sent)).toHaveLength(2);
    s.say({ t: "error", ref, problem: { status: 413, code: "text_too_long" } });
    expect(client.outbox.all()[0]?.refused).toBe("text_too_long");
    expect(refused).toHaveLength(1);
  });

  it("asks for everything after a reload and for what is missing after a lost connection", async () => {
    const world = new World();
    const shelf = memoryShelf();
    const { client } = visitor(world, shelf);
    client.start();
    const s1 = await world.welcome();
    expect(s1.sent[0]).toMatchObject({ resume: { epoch: "", cursors: {} } });
    s1.say({ t: "event", conversation_id: conv, seq: 1, at: "2026-11-23T08:30:15Z", type: "conversation.started", data: { status: "pending" } });
    s1.fail(1006);
    await world.pass(20_000);
    const s2 = await world.welcome();
    expect(s2.sent[0]).toMatchObject({ resume: { epoch: "e7", cursors: { [conv]: 1 } } });
    client.stop();

    const reloaded = visitor(world, shelf);
    reloaded.client.start();
    const s3 = await world.welcome();
    expect(s3.sent[0]).toMatchObject({ token: "vst_1", resume: { epoch: "", cursors: { [conv]: 0 } } });
  });

  it("forgets what it had when the epoch has changed", async () => {
    const world = new World();
    const shelf = memoryShelf();
    const { client } = visitor(world, shelf);
    client.start();
    const s = await world.welcome();
    s.say({ t: "event", conversation_id: conv, seq: 1, at: "2026-11-23T08:30:15Z", type: "conversation.started", data: { status: "pending" } });
    s.say({ t: "reset", reason: "epoch_changed" });
    expect(client.store.lines.size).toBe(0);
    expect(shelf.getItem("place")).toBeNull();
  });

  it.each([
    { type: "conversation.erased", data: {} },
    { type: "conversation.updated", data: { id: conv, version: 2, erased: true } },
  ])("keeps nothing of a conversation that was erased: $type", async (event) => {
    const world = new World();
    const shelf = memoryShelf();
    const { client } = visitor(world, shelf);
    client.start();
    const s = await world.welcome();
    s.say({ t: "event", conversation_id: conv, seq: 1, at: "2026-11-23T08:30:15Z", type: "conversation.started", data: { status: "pending" } });
    expect(client.store.heads.size).toBe(1);
    s.say({ t: "event", conversation_id: conv, seq: 2, at: "2026-11-23T08:30:16Z", ...event });
    expect([client.store.lines.size, client.store.heads.size]).toEqual([0, 0]);
    expect(shelf.getItem("place")).toBeNull();
  });

  it("tells of typing at most every three seconds", async () => {
    const world = new World();
    const { client } = visitor(world, memoryShelf());
    client.start();
    const s = await world.welcome();
    client.typing(conv, true);
    client.typing(conv, true);
    await world.pass(3_000);
    client.typing(conv, true);
    client.typing(conv, false);
    client.typing(conv, false);
    expect(s.sent.filter((f) => f["t"] === "typing").map((f) => f["on"])).toEqual([true, true, false]);
  });
});
