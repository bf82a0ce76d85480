import { beforeEach, describe, expect, it, vi } from "vitest";
import { PackEditor } from "../src/agent/packeditor.ts";
import type { PackCheck, Packs, PackSaved, PackView } from "../src/agent/packs.ts";
import { PackText } from "../src/agent/packtext.ts";
import { packWords } from "../src/agent/packwords.ts";
import { Speech } from "../src/agent/say.ts";
import { consoleWords } from "../src/agent/words.ts";
import { Refused } from "../src/sdk/session.ts";

beforeEach(() => document.body.replaceChildren());

const marks = (el: HTMLElement) => [...el.querySelectorAll(".gutter b")].map((b) => `${b.textContent}: ${b.getAttribute("title")}`);

describe("PackEditor", () => {
  it("numbers the lines and marks those with problems", () => {
    const editor = new PackEditor({ label: "text", onInput: () => undefined, onSave: () => undefined, onCheck: () => undefined });
    editor.set("a\nb\nc", false);
    expect(editor.el.querySelector(".gutter")?.textContent).toBe("1\n2\n3\n");
    editor.mark([{ file: "saved:x", line: 2, reason: "no" }, { file: "saved:x", reason: "all of it" }]);
    expect(marks(editor.el)).toEqual(["2: no"]);
    expect(editor.el.querySelector(".gutter")?.textContent).toBe("1\n2\n3\n");
    editor.set("a", false);
    expect(marks(editor.el)).toEqual([]);
  });

  it("puts the caret on a line", () => {
    const editor = new PackEditor({ label: "text", onInput: () => undefined, onSave: () => undefined, onCheck: () => undefined });
    document.body.append(editor.el);
    editor.set("ab\ncde\nf", false);
    editor.goto(2);
    const box = editor.el.querySelector("textarea");
    expect([box?.selectionStart, box?.selectionEnd]).toEqual([3, 6]);
  });
});

function view(name: string, text: string, version: number): PackView {
  return {
    name, version: "h", intents: 1, questions: 1, langs: [], source: "saved", origin: "saved", state: "live", calibrated: true,
    files: [{ name: `saved:${name}`, text }], saved: { version, hash: "h", bytes: text.length, at: "2026-01-01T00:00:00Z" },
  };
}

function make(save: Packs["save"]) {
  const check = vi.fn<Packs["check"]>(() => Promise.resolve({ ok: true } as PackCheck));
  const onSaved = vi.fn();
  const onConflict = vi.fn();
  const packs = { save, check } as unknown as Packs;
  const words = packWords("en");
  const text = new PackText({ packs, words, speech: new Speech("en", consoleWords("en"), (id) => id), tell: () => undefined, onSaved, onConflict, onChange: () => undefined });
  document.body.append(text.el);
  const box = text.el.querySelector("textarea");
  const press = (what: string) => text.el.querySelector<HTMLButtonElement>(`[data-do=${what}]`)?.click();
  const type = (value: string) => {
    if (box === null) throw new Error("no box");
    box.value = value;
    box.dispatchEvent(new Event("input"));
  };
  return { text, box, press, type, onSaved, onConflict };
}

const settled = () => new Promise((done) => setTimeout(done, 0));

describe("PackText", () => {
  it("saves what was changed, on the version it was read from", async () => {
    const save = vi.fn<Packs["save"]>(() => Promise.resolve({ saved: { version: 4 } } as PackSaved));
    const { text, press, type, onSaved } = make(save);
    text.show("shop", view("shop", "old", 3));
    press("save");
    await settled();
    expect(save).not.toHaveBeenCalled(); // nothing has changed
    type("new");
    expect(text.dirty("shop")).toBe(true);
    text.show("shop", view("shop", "of somebody else", 5)); // looked at again meanwhile
    press("save");
    await settled();
    expect(save).toHaveBeenCalledWith("shop", "new", "", 3);
    expect(onSaved).toHaveBeenCalledOnce();
    expect(text.dirty()).toBe(false);
  });

  it("shows problems at their lines and keeps the draft", async () => {
    const problems = [{ file: "saved:shop", line: 2, reason: "no such slot" }, { file: "saved:above", line: 9, reason: "needs it" }];
    const { text, box, press, type } = make(() => Promise.reject(new Refused(400, { code: "invalid", problems } as object)));
    text.show("shop", view("shop", "old", 3));
    type("a\nb\nc");
    press("save");
    await settled();
    expect(marks(text.el)).toEqual(["2: no such slot"]);
    expect(text.el.querySelector(".result")?.textContent).toContain("saved:above:9 needs it");
    text.show("other", view("other", "x", 1));
    text.show("shop", view("shop", "old", 3));
    expect(box?.value).toBe("a\nb\nc");
  });

  it("does not save over a version nobody has looked at", async () => {
    const save = vi.fn<Packs["save"]>(() => Promise.reject(new Refused(412, { code: "version_mismatch" })));
    const { text, press, type, onConflict } = make(save);
    text.show("shop", view("shop", "old", 3));
    type("mine");
    press("save");
    await settled();
    text.el.querySelector<HTMLButtonElement>(".result button")?.click();
    expect(onConflict).toHaveBeenCalledOnce();
    text.show("shop", view("shop", "theirs", 4));
    text.rebase();
    press("save");
    await settled();
    expect(save.mock.calls.map((c) => c[3])).toEqual([3, 4]);
    expect(text.dirty("shop")).toBe(true);
  });

  it("does not let files be changed", () => {
    const { text, box } = make(() => Promise.reject(new Error("not asked")));
    text.show("shop", { ...view("shop", "x", 1), origin: "file", source: "shop.yaml", saved: undefined } as unknown as PackView);
    expect(box?.readOnly).toBe(true);
    expect(text.el.querySelector(".hint")?.textContent).toContain("shop.yaml");
  });
});
