import { beforeEach, describe, expect, it, vi } from "vitest";
import { DraftButton } from "../src/agent/draft.ts";
import { Speech } from "../src/agent/say.ts";
import { ShadowView } from "../src/agent/shadow.ts";
import type { ShadowTurn } from "../src/agent/shadow.ts";
import { Talk } from "../src/agent/talk.ts";
import { consoleWords } from "../src/agent/words.ts";
import type { Summary } from "../src/sdk/frames.ts";

const words = consoleWords("en");
const tick = () => new Promise((done) => setTimeout(done, 0));

beforeEach(() => document.body.replaceChildren());

function head(id: string, status = "open"): Summary {
  return { id, inbox: "shop", channel: "web", contact: "ctc_x", status, handler: "human", queue: "queued", priority: "none", created_at: "", last_activity: "", version: 3 } as unknown as Summary;
}

describe("Draft", () => {
  const markup = "<img src=x onerror=alert(1)>\nSure!";
  function talk(ask?: () => Promise<string | undefined>) {
    const sent: string[] = [];
    const t = new Talk({
      speech: new Speech("en", words, (id) => id), onDeed: vi.fn(), onSay: (text) => sent.push(text) > 0, onTyping: vi.fn(), onAgain: vi.fn(), onDiscard: vi.fn(),
      onEarlier: vi.fn(), onBack: vi.fn(), onDetails: vi.fn(), onJudge: vi.fn(), onDraft: ask,
      files: { url: () => Promise.resolve("") }, limits: undefined, upload: vi.fn(),
    });
    document.body.append(t.el);
    const open = (id: string, status?: string) => t.update({ head: head(id, status), line: undefined, unsent: [], typing: undefined, me: "a", agents: [] });
    open("c1");
    const box = t.el.querySelector("textarea");
    const button = t.el.querySelector<HTMLButtonElement>("button.draft");
    if (box === null) throw new Error("no text box");
    return { t, sent, open, box, button };
  }

  it("fills the box with text, and sends nothing", async () => {
    const { sent, box, button, t } = talk(() => Promise.resolve(markup));
    button?.click();
    expect(button?.disabled).toBe(true);
    await tick();
    expect(box.value).toBe(markup);
    expect(t.el.querySelectorAll("img")).toHaveLength(0);
    expect(sent).toEqual([]);
    expect(button?.disabled).toBe(false);
  });

  it("keeps what the agent has written", async () => {
    const { box, button } = talk(() => Promise.resolve("draft"));
    box.value = "Dear Ann,";
    button?.click();
    await tick();
    expect(box.value).toBe("Dear Ann,\n\ndraft");
  });

  it("goes to no other conversation than the one it was asked for", async () => {
    let give: (text: string) => void = () => undefined;
    const { box, button, open } = talk(() => new Promise((done) => (give = done)));
    button?.click();
    open("c2");
    give("draft of c1");
    await tick();
    expect(box.value).toBe("");
  });

  it("asks once at a time, and again after a failure", async () => {
    const ask = vi.fn(() => Promise.resolve<string | undefined>(undefined));
    const { box, button } = talk(ask);
    button?.click();
    button?.click();
    await tick();
    expect(ask).toHaveBeenCalledTimes(1);
    expect(box.value).toBe("");
    button?.click();
    await tick();
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it("is not offered where the server drafts none, for notes, and when it is too late", () => {
    expect(talk().button).toBeNull();
    const { t, button, open } = talk(() => Promise.resolve("x"));
    expect(button?.hidden).toBe(false);
    t.write("note");
    expect(button?.hidden).toBe(true);
    t.write("message");
    open("c1", "closed");
    expect(button?.hidden).toBe(true);
  });

  it("frees the button when asking throws", async () => {
    const failed = new DraftButton({ words, ask: () => Promise.reject(new Error("x")), place: () => "c1", put: vi.fn() });
    const unhandled = vi.fn();
    process.once("unhandledRejection", unhandled);
    failed.el.click();
    await tick();
    await tick();
    process.removeListener("unhandledRejection", unhandled);
    expect(failed.el.disabled).toBe(false);
  });
});

describe("ShadowView", () => {
  function view(fetch: (id: string) => Promise<{ data: ShadowTurn[] }>) {
    const timers: (() => void)[] = [];
    const cancelled: number[] = [];
    const v = new ShadowView({ words, fetch, after: (_, run) => {
      const n = timers.push(run) - 1;
      return () => cancelled.push(n);
    } });
    document.body.append(v.el);
    return { v, timers, cancelled };
  }
  const differs: ShadowTurn = {
    conversation_id: "c1", seq: 1, text: "<b>where?</b>", own: { action: "answer", intent: "hours", confidence: 0.91, text: "Nine to five." },
    other: { action: "answer", intent: "parking", confidence: 0.8, text: "<script>alert(1)</script>", model: "http:m@1" },
  };

  it("shows both sides as text", async () => {
    const { v, timers } = view(() => Promise.resolve({ data: [differs] }));
    expect(v.el.hidden).toBe(true);
    v.update("c1", 1);
    timers[0]?.();
    await tick();
    expect(v.el.hidden).toBe(false);
    for (const text of ["<b>where?</b>", "Nine to five.", "hours · 91 %", "parking · 80 %", "<script>alert(1)</script>", "http:m@1", words.shadowDiffers]) expect(v.el.textContent).toContain(text);
    expect(v.el.querySelectorAll("script, b")).toHaveLength(0);
  });

  it("says what a silent bot would say", async () => {
    const { v, timers } = view(() => Promise.resolve({ data: [{ conversation_id: "c1", seq: 1, text: "when?", silent: true, own: { action: "answer", intent: "hours", behavior: "lookup" } }] }));
    v.update("c1", 1);
    timers[0]?.();
    await tick();
    expect(v.el.textContent).toContain(words.shadowWould);
    expect(v.el.textContent).toContain("answered by lookup");
  });

  it("looks again when the conversation moves, and at once no more at the old one", async () => {
    const asked: string[] = [];
    let give: (page: { data: ShadowTurn[] }) => void = () => undefined;
    const { v, timers, cancelled } = view((id) => {
      asked.push(id);
      return new Promise((done) => (give = done));
    });
    v.update("c1", 1);
    v.update("c1", 1);
    expect(timers).toHaveLength(2);
    timers[0]?.();
    v.update("c2", 1);
    expect(cancelled).toEqual([0, 1]);
    give({ data: [differs] });
    await tick();
    expect(v.el.hidden).toBe(true);
    expect(asked).toEqual(["c1"]);
  });

  it("says nothing when there is nothing to be had", async () => {
    const { v, timers } = view(() => Promise.reject(new Error("503")));
    v.update("c1", 1);
    timers[0]?.();
    await tick();
    expect(v.el.hidden).toBe(true);
  });
});
