import { describe, expect, it } from "vitest";
import { newBackoff } from "../src/sdk/backoff.ts";
import { afterClose } from "../src/sdk/closecode.ts";
import type { Phase } from "../src/sdk/link.ts";
import { newLink } from "../src/sdk/link.ts";
import type { ServerFrame } from "../src/sdk/frames.ts";
import { closeCodes } from "../src/wire.gen.ts";
import { World } from "./world.ts";

function setUp(streamBase?: string) {
  const world = new World();
  const phases: Phase[] = [];
  const frames: ServerFrame[] = [];
  const renewals = { n: 0 };
  const link = newLink({
    url: "ws://test/v1/widget/ws", streamBase, runtime: world,
    hello: () => Promise.resolve({ t: "hello", v: 1, resume: { epoch: "", cursors: {} } }),
    renew: () => {
      renewals.n++;
      return Promise.resolve();
    },
    onFrame: (f) => frames.push(f), onPhase: (p) => phases.push(p),
  });
  return { world, link, phases, frames, renewals, phase: () => phases.at(-1)?.name };
}

describe("newBackoff", () => {
  it("draws evenly below a ceiling that doubles from 0.5 s to 20 s", () => {
    const most = newBackoff(() => 1);
    expect(Array.from({ length: 8 }, () => most.next())).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
    const least = newBackoff(() => 0);
    expect([least.next(), least.next()]).toEqual([0, 0]);
  });

  it("starts over after a stable connection", () => {
    const b = newBackoff(() => 1);
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

  it("passes frames of a newer server on, and ignores what is no frame", async () => {
    const t = setUp();
    t.link.start();
    const s = await t.world.welcome();
    s.say({ t: "telepathy" });
    s.onmessage?.({ data: "{" });
    s.onmessage?.({ data: new ArrayBuffer(2) });
    s.say([]);
    s.onmessage?.({ data: "null" });
    expect(t.frames.map((f) => f.t as string)).toEqual(["welcome", "resumed", "telepathy"]);
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

  it("streams where two WebSockets in a row brought nothing, and keeps to what works", async () => {
    const t = setUp("/v1/widget");
    t.link.start();
    for (let i = 0; i < 2; i++) {
      await t.world.pass(20_000);
      t.world.last().fail(1006);
    }
    await t.world.pass(20_000);
    expect(t.world.last().url).toBe("/v1/widget");
    const stream = await t.world.welcome();
    expect(t.phase()).toBe("open");
    stream.fail(1006);
    await t.world.pass(20_000);
    expect(t.world.last().url).toBe("/v1/widget");
    t.world.last().fail(1006); // now that fails: the network may be another one
    await t.world.pass(20_000);
    expect(t.world.last().url).toMatch(/^ws:/);
    await t.world.welcome();
    t.world.last().fail(1006);
    await t.world.pass(20_000);
    expect(t.world.last().url).toMatch(/^ws:/);
  });

  it("never streams without an address for it", async () => {
    const t = setUp();
    t.link.start();
    for (let i = 0; i < 7; i++) {
      await t.world.pass(20_000);
      expect(t.world.last().url).toMatch(/^ws:/);
      t.world.last().fail(1006);
    }
  });
});
