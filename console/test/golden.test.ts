import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { decodeFrame } from "../src/sdk/decode.ts";
import type { EventFrame, ServerFrame, UpdatedFrame } from "../src/sdk/frames.ts";
import { emptyHead, foldHead } from "../src/sdk/head.ts";
import { Store } from "../src/sdk/store.ts";
import { emptyTimeline, foldTimeline } from "../src/sdk/timeline.ts";

// The frames that the server's own tests hold it to.
const folder = path.resolve(import.meta.dirname, "../../gateway/wire/testdata");
const files = readdirSync(folder).filter((f) => f.startsWith("server-") && f.endsWith(".json"));

function frameOf(file: string): ServerFrame {
  const frame = decodeFrame(readFileSync(path.join(folder, file), "utf8"));
  if (frame === undefined) throw new Error(`${file} is not understood`);
  return frame;
}

function eventsOf(side: "agent" | "visitor"): EventFrame[] {
  return files.filter((f) => f.startsWith(`server-event-${side}-`)).map(frameOf).filter((f): f is EventFrame => f.t === "event" && f.type !== "conversation.updated");
}

describe("golden frames", () => {
  it("are all there", () => {
    expect(files.length).toBeGreaterThan(30);
  });

  it.each(files)("%s is understood", (file) => {
    expect(frameOf(file).t).not.toBe("");
  });

  it("fold into a timeline in the order of seq, each once", () => {
    const line = emptyTimeline();
    eventsOf("agent").forEach((e, i) => {
      const entry = { ...e, seq: i + 1 };
      expect(foldTimeline(line, entry)).toBe(true);
      expect(foldTimeline(line, entry)).toBe(false);
    });
    const kinds = line.items.map((i) => i.kind);
    expect(kinds).toContain("message");
    expect(kinds).toContain("note");
    expect(kinds).toContain("mark");
  });

  it("give an agent the whole bubble of the bot", () => {
    const line = emptyTimeline();
    const composed = eventsOf("agent").find((e) => e.type === "message.composed");
    if (composed === undefined) throw new Error("no such frame");
    foldTimeline(line, composed);
    expect(line.items[0]).toMatchObject({ kind: "message", from: "bot", buttons: [{ label: "Order", text: "where is my order" }], bot: { confidence: 0.93 } });
  });

  it("never give a visitor a note or the bot's reasons", () => {
    const line = emptyTimeline();
    eventsOf("visitor").forEach((e, i) => foldTimeline(line, { ...e, seq: i + 1 }));
    expect(line.items.length).toBeGreaterThan(3);
    for (const item of line.items) {
      expect(item.kind).not.toBe("note");
      if (item.kind !== "mark") expect(item.bot).toBeUndefined();
    }
  });

  it("lead a head through assignment and back", () => {
    let head = emptyHead("cnv_1");
    for (const type of ["conversation.started", "message.accepted", "conversation.handover", "conversation.assigned"] as const) {
      const e = eventsOf("agent").find((x) => x.type === type);
      if (e !== undefined) head = foldHead(head, { ...e, seq: head.version + 1 });
    }
    expect(head).toMatchObject({ queue: "assigned", handler: "agent", version: 4 });
    expect(head.waiting_since).toBeDefined();
    const replied = eventsOf("agent").find((x) => x.type === "message.replied");
    if (replied !== undefined) head = foldHead(head, { ...replied, seq: head.version + 1 });
    expect(head.waiting_since).toBeUndefined();
    expect(head.preview_from).toBe("agent");
  });

  it("update the lists of those who follow an inbox", () => {
    const store = new Store();
    const frame = frameOf("server-updated.json") as UpdatedFrame;
    store.seed(frame.data);
    store.seed({ ...frame.data, version: frame.data.version - 1, status: "open" });
    expect(store.heads.get(frame.conversation_id)?.status).toBe(frame.data.status);
  });
});
