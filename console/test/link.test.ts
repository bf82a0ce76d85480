import { describe, expect, it } from "vitest";
import { Backoff } from "../src/sdk/backoff.ts";
import { afterClose } from "../src/sdk/closecode.ts";
import type { Phase } from "../src/sdk/link.ts";
import { Link } from "../src/sdk/link.ts";
import type { ServerFrame } from "../src/sdk/frames.ts";
import { closeCodes } from "../src/wire.gen.ts";
import { World } from "./world.ts";

function setUp() {
  const world = new World();
  const phases: Phase[] = [];
  const frames: ServerFrame[] = [];
  const renewals = { n: 0 };
  const link = new Link({
    url: "ws://test/v1/widget/ws", protocols: ["colloquy.v1"], runtime: world,
    hello: () => Promise.resolve({ t: "hello", v: 1, resume: { epoch: "", cursors: {} } }),
    renew: () => {
      renewals.n++;
      return Promise.resolve();
    },
    onFrame: (f) => frames.push(f), onPhase: (p) => phases.push(p),
  });
  return { world, link, phases, frames, renewals, phase: () => phases.at(-1)?.name };
}

describe("Backoff", () => {
  it("draws evenly below a ceiling that doubles from 0.5 s to 20 s", () => {
    const most = new Backoff(() => 1);
    expect(Array.from({ length: 8 }, () => most.next())).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
    const least = new Backoff(() => 0);
    expect([least.next(), least.next()]).toEqual([0, 0]);
  });

  it("starts over after a stable connection", () => {
    const b = new Backoff(() => 1);
    b.next();
    b.next();
    b.reset();
    expect(b.next()).toBe(500);
  });
});

describe("afterClose", () => {
  it.each([
    [1000, "return"], [1001, "return"], [1006, "return"], [1011, "return"], [1009, "stop"], [1007, "stop"],
    [3001, "return"], [3005, "renew"], [3008, "return"], [3013, "return"], [3499, "return"],
    [3500, "renew"], [3501, "stop"], [3503, "stop"], [3504, "stop"], [3507, "stop"], [3999, "stop"], [4000, "return"], [4500, "stop"],
  ])("%i → %s", (code, then) => {
    expect(afterClose(code)).toBe(then);
  });
});

describe("afterClose and the server's table", () => {
  const rows = Object.entries(closeCodes).filter(([code]) => code !== "1000" && code !== "3500");

  it.each(rows)("agree on %s", (code, row) => {
    expect(afterClose(Number(code)) !== "stop").toBe(row.comeBack);
  });
});

describe("Link", () => {
  it("says hello first and is open after resumed", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    expect(s.protocols).toEqual(["colloquy.v1"]);
    expect(s.sent[0]).toMatchObject({ t: "hello", v: 1 });
    expect(t.phases.map((p) => p.name)).toEqual(["connecting", "resuming", "open"]);
    expect(t.frames.map((f) => f.t)).toEqual(["welcome", "resumed"]);
  });

  it("sends nothing before the connection is open", async () => {
    const t = setUp();
    t.link.start();
    await t.world.pass(0);
    expect(t.link.send({ t: "ping" })).toBe(false);
  });

  it("comes back after a returning code, with a new hello", async () => {
    const t = setUp();
    t.link.start();
    (await t.world.welcome()).fail(3001);
    expect(t.phase()).toBe("waiting");
    await t.world.pass(20_000);
    expect(t.world.sockets.length).toBeGreaterThan(1);
    await t.world.welcome();
    expect(t.phase()).toBe("open");
  });

  it("stays away after a final code until it is asked to retry", async () => {
    const t = setUp();
    t.link.start();
    (await t.world.welcome()).fail(3503);
    await t.world.pass(120_000);
    expect(t.phase()).toBe("stopped");
    expect(t.world.sockets.length).toBe(1);
    t.link.retry();
    await t.world.welcome();
    expect(t.phase()).toBe("open");
  });

  it("renews an expired credential once, and stops when that did not help", async () => {
    const t = setUp();
    t.link.start();
    await t.world.pass(0);
    t.world.last().fail(3500);
    await t.world.pass(20_000);
    expect(t.renewals.n).toBe(1);
    t.world.last().fail(3500);
    expect(t.phase()).toBe("stopped");
  });

  it("pings after silence and gives a dead peer up", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    await t.world.pass(25_000);
    expect(s.sent.at(-1)).toEqual({ t: "ping" });
    s.say({ t: "pong" });
    await t.world.pass(24_000);
    expect(t.phase()).toBe("open");
    await t.world.pass(1_000 + 10_000 + 250); // silence, patience, back-off
    expect(s.closedWith).toBe(3012);
    expect(t.world.sockets.length).toBe(2);
  });

  it("gives up an upgrade and a welcome that do not come", async () => {
    const t = setUp();
    t.link.start();
    await t.world.pass(10_000);
    expect(t.phase()).toBe("waiting");
    await t.world.pass(1_000);
    t.world.last().open();
    await t.world.pass(10_000);
    expect(t.phase()).toBe("waiting");
  });

  it("comes back when the server said, and not earlier", async () => {
    const t = setUp();
    t.link.start();
    (await t.world.welcome()).say({ t: "reconnect", after_ms: 7_000 });
    await t.world.pass(6_900);
    expect(t.world.sockets.length).toBe(1);
    await t.world.pass(1_000);
    expect(t.world.sockets.length).toBe(2);
  });

  it("waits for the network and dials at once when it is back", async () => {
    const t = setUp();
    t.link.start();
    t.world.up = false;
    (await t.world.welcome()).fail(1006);
    expect(t.phase()).toBe("offline");
    await t.world.pass(60_000);
    expect(t.world.sockets.length).toBe(1);
    t.world.up = true;
    t.world.happen("online");
    await t.world.pass(0);
    expect(t.world.sockets.length).toBe(2);
  });

  it("probes a connection when the page comes back into view", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    t.world.happen("visible");
    expect(s.sent.at(-1)).toEqual({ t: "ping" });
    await t.world.pass(4_000);
    expect(s.closedWith).toBe(3012);
  });

  it("ignores frames of a type it does not know, and what is not JSON", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    s.say({ t: "telepathy" });
    s.onmessage?.({ data: "{" });
    s.onmessage?.({ data: new ArrayBuffer(2) });
    s.say([]);
    expect(t.frames.map((f) => f.t)).toEqual(["welcome", "resumed"]);
    expect(t.phase()).toBe("open");
  });

  it("does not hear a socket it has dropped", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    t.link.stop();
    expect(s.onmessage).toBeNull();
    await t.world.pass(60_000);
    expect(t.world.sockets.length).toBe(1);
  });
});
