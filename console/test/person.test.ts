import { beforeEach, describe, expect, it } from "vitest";
import type { Detail } from "../src/agent/api.ts";
import { PersonView } from "../src/agent/person.ts";
import type { Person, ReplyWindow } from "../src/agent/person.ts";
import { Speech } from "../src/agent/say.ts";
import { consoleWords } from "../src/agent/words.ts";

const words = consoleWords("en");
const tick = () => new Promise((done) => setTimeout(done, 0));

beforeEach(() => document.body.replaceChildren());

const alone: Person = { id: "ctc_a", identities: [{ contact: "ctc_a", inbox_id: "shop", channel: "sms", peer: "<b>anna</b>" }], suggestions: [] };
const merged: Person = { ...alone, identities: [...alone.identities, { contact: "ctc_b", inbox_id: "shop", channel: "whatsapp", peer: "49" }] };

function view(person: Person, window?: ReplyWindow, erase?: (contact: string) => Promise<void>) {
  const changes: string[][] = [];
  const v = new PersonView({
    speech: new Speech("en", words, (id) => id), person: () => Promise.resolve(person), detail: () => Promise.resolve({ reply_window: window } as Detail),
    change: (contact, verb, other) => { changes.push([contact, verb, other]); return Promise.resolve(verb === "merge" ? merged : alone); },
    failed: (err) => { throw err; }, erase,
  });
  document.body.append(v.el);
  v.update("c1", 1, "ctc_a");
  return { v, changes };
}

describe("PersonView", () => {
  it("says nothing of a contact who came in one way and can always be written to", async () => {
    const { v } = view(alone);
    await tick();
    expect(v.el.textContent).toBe("");
  });

  it.each([
    [{ can_reply: true, remaining: 1, last_one: true, until: "2026-11-30T10:00:00Z" }, "One more message", "reasons"],
    [{ can_reply: true, remaining: 4, until: "2026-11-30T10:00:00Z" }, "4 more messages", "soft"],
    [{ can_reply: true, until: "2026-11-30T10:00:00Z" }, "Can be written to", "soft"],
    [{ can_reply: false, remaining: 0 }, "Cannot be written to", "reasons"],
  ])("warns before the window closes: %o", async (window, text, look) => {
    const { v } = view(alone, window);
    await tick();
    const p = v.el.querySelector("p");
    expect(p?.textContent).toContain(text);
    expect(p?.className).toBe(look);
    expect(p?.hidden).toBe(false);
  });

  it("merges who is suggested, and splits again", async () => {
    const { v, changes } = view({ ...alone, suggestions: [{ contact: "ctc_b", claim: { kind: "phone", value: "49" } }] });
    await tick();
    v.el.querySelector("button")?.click();
    await tick();
    expect(v.el.textContent).toContain("<b>anna</b>");
    expect(v.el.querySelectorAll("b")).toHaveLength(0);
    v.el.querySelector("button")?.click();
    await tick();
    expect(changes).toEqual([["ctc_a", "merge", "ctc_b"], ["ctc_a", "split", "ctc_b"]]);
    expect(v.el.querySelectorAll("button")).toHaveLength(0);
  });

  it("erases only what was typed out, and only for who may", async () => {
    const erased: string[] = [];
    const erase = (contact: string) => { erased.push(contact); return Promise.resolve(); };
    const { v } = view(alone, undefined, erase);
    await tick();
    const form = v.el.querySelector("form") as HTMLFormElement;
    const [box, go] = [form.querySelector("input") as HTMLInputElement, form.querySelector("button") as HTMLButtonElement];
    for (const typed of ["", "ctc_b", "ctc_"]) {
      box.value = typed;
      box.dispatchEvent(new Event("input"));
      expect(go.disabled).toBe(true);
      form.requestSubmit();
    }
    expect(erased).toEqual([]);
    box.value = "ctc_a";
    box.dispatchEvent(new Event("input"));
    expect(go.disabled).toBe(false);
    form.requestSubmit();
    form.requestSubmit();
    expect(erased).toEqual(["ctc_a"]);
    const agents = view(alone);
    await tick();
    expect(agents.v.el.querySelector("form")).toBeNull();
  });

  it.each([{ hold: { by: "ada", reason: "<i>court</i>" } }, { held: ["cnv_1"] }])("shows what keeps a contact: %o", async (kept) => {
    const { v } = view({ ...alone, ...kept }, undefined, () => Promise.resolve());
    await tick();
    expect(v.el.textContent).toContain("On hold");
    expect(v.el.querySelector("form")).toBeNull();
    expect(v.el.querySelectorAll("i")).toHaveLength(0);
  });
});
