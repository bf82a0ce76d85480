import { beforeEach, describe, expect, it, vi } from "vitest";
import { Composer } from "../src/ui/composer.ts";
import { h, Keyed } from "../src/ui/dom.ts";
import { dayName, pickLang, say, span } from "../src/ui/lang.ts";
import { linkify } from "../src/ui/linkify.ts";
import { IntentPicker } from "../src/agent/judge.ts";
import { Speech } from "../src/agent/say.ts";
import { consoleWords } from "../src/agent/words.ts";
import { Bridge } from "../src/widget/bridge.ts";

beforeEach(() => document.body.replaceChildren());

function shown(text: string): HTMLElement {
  return h("div", {}, ...linkify(text));
}

describe("linkify", () => {
  it.each([
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "javascript:alert(1)", "data:text/html,<b>x</b>", "[x](javascript:alert(1))",
    "{{constructor.constructor('alert(1)')()}}", "<a href='https://x.example' onclick=alert(1)>x</a>", "vbscript:msgbox(1)", "file:///etc/passwd",
  ])("shows %s as text", (text) => {
    const el = shown(text);
    expect(el.textContent).toBe(text);
    expect(el.querySelectorAll("*:not(a)")).toHaveLength(0);
    for (const a of el.querySelectorAll("a")) expect(a.protocol).toMatch(/^https?:$/u);
  });

  it("links http and https, without the punctuation behind", () => {
    const el = shown("看这里：https://example.com/a?b=1。再看 http://example.org/x, ok");
    expect([...el.querySelectorAll("a")].map((a) => a.getAttribute("href"))).toEqual(["https://example.com/a?b=1", "http://example.org/x"]);
    expect(el.textContent).toBe("看这里：https://example.com/a?b=1。再看 http://example.org/x, ok");
    for (const a of el.querySelectorAll("a")) {
      expect(a.rel).toContain("noopener");
      expect(a.rel).toContain("noreferrer");
      expect(a.target).toBe("_blank");
    }
  });

  it.each([
    "https://bank.example@evil.example/", // a user name that looks like a host
    "https://аррӏе.com/login", // Cyrillic letters that look like Latin ones
    "https://exa\u202emple.com", // a character that turns the direction
  ])("does not link %s", (text) => {
    const links = [...shown(text).querySelectorAll("a")];
    expect(links.filter((a) => a.textContent === text)).toHaveLength(0);
  });

  it("takes time in proportion to the text", () => {
    // The best of some: the machine may stand still meanwhile.
    const took = Array.from({ length: 5 }, () => {
      const began = performance.now();
      shown("https://".repeat(4000) + "(".repeat(16_000));
      return performance.now() - began;
    });
    expect(Math.min(...took)).toBeLessThan(1000);
  });
});

describe("Composer", () => {
  function make() {
    const sent: string[] = [];
    const c = new Composer({ label: "l", placeholder: "p", send: "s", onSend: (t) => sent.push(t) > 0, onTyping: () => undefined });
    document.body.append(c.el);
    c.set("你好");
    return { c, sent };
  }
  const key = (c: Composer, init: object) => {
    const event = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init });
    c.box.dispatchEvent(event);
    return event;
  };

  it("sends on Enter and empties itself", () => {
    const { c, sent } = make();
    expect(key(c, { key: "Enter" }).defaultPrevented).toBe(true);
    expect(sent).toEqual(["你好"]);
    expect(c.text).toBe("");
  });

  it("breaks the line on Shift+Enter", () => {
    const { c, sent } = make();
    expect(key(c, { key: "Enter", shiftKey: true }).defaultPrevented).toBe(false);
    expect(sent).toEqual([]);
  });

  it("does not send while an input method is composing", () => {
    const { c, sent } = make();
    key(c, { key: "Enter", isComposing: true });
    key(c, { key: "Enter", keyCode: 229 });
    c.box.dispatchEvent(new CompositionEvent("compositionstart"));
    key(c, { key: "Enter" });
    expect(sent).toEqual([]);
    c.box.dispatchEvent(new CompositionEvent("compositionend"));
    key(c, { key: "Enter" });
    expect(sent).toEqual(["你好"]);
  });

  it("sends nothing that is empty, and keeps what was not taken", () => {
    const { c, sent } = make();
    c.set("  \n ");
    key(c, { key: "Enter" });
    expect(sent).toEqual([]);
    const full = new Composer({ label: "l", placeholder: "p", send: "s", onSend: () => false, onTyping: () => undefined });
    document.body.append(full.el);
    full.set("kept");
    full.el.requestSubmit();
    expect(full.text).toBe("kept");
  });
});

describe("Keyed", () => {
  it("keeps nodes over moves, and rebuilds only what changed", () => {
    const parent = h("ul");
    const keyed = new Keyed<string>(parent, (t) => h("li", {}, t));
    const show = (...texts: string[]) => keyed.update(texts.map((t) => ({ key: t[0] ?? "", version: t, item: t })));
    show("a", "b", "c");
    const [a, b] = [...parent.children];
    show("c", "a", "b2", "d");
    expect([...parent.children].map((x) => x.textContent)).toEqual(["c", "a", "b2", "d"]);
    expect(parent.children[1]).toBe(a);
    expect(parent.contains(b ?? null)).toBe(false);
    show();
    expect(parent.children).toHaveLength(0);
  });

  it("comes to the right order from any other", () => {
    const parent = h("ul");
    const keyed = new Keyed<string>(parent, (t) => h("li", {}, t));
    let seed = 7;
    const random = (n: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % n;
    for (let round = 0; round < 200; round++) {
      const keys = ["a", "b", "c", "d", "e", "f", "g", "h"].filter(() => random(3) > 0).sort(() => random(3) - 1);
      keyed.update(keys.map((k) => ({ key: k, version: random(2), item: k })));
      expect([...parent.children].map((x) => x.textContent)).toEqual(keys);
    }
  });
});

describe("Bridge", () => {
  it("hears one window of one origin only", () => {
    const heard = vi.fn();
    new Bridge(() => window, "https://shop.example", heard);
    const send = (origin: string, source: Window | null, data: unknown) => window.dispatchEvent(new MessageEvent("message", { origin, source, data }));
    const good = { channel: "colloquy.widget.v1", message: { t: "close" } };
    send("https://evil.example", window, good);
    send("https://shop.example.evil.example", window, good);
    send("https://shop.example", null, good);
    send("https://shop.example", window, "close");
    send("https://shop.example", window, { channel: "other", message: {} });
    expect(heard).not.toHaveBeenCalled();
    send("https://shop.example", window, good);
    expect(heard).toHaveBeenCalledExactlyOnceWith({ t: "close" });
  });

  it("posts to that origin only", () => {
    const post = vi.spyOn(window, "postMessage").mockImplementation(() => undefined);
    new Bridge<never, object>(() => window, "https://shop.example", () => undefined).post({ t: "ready" });
    expect(post.mock.calls[0]?.[1]).toBe("https://shop.example");
  });
});

describe("lang", () => {
  it("fills names once, and leaves what is filled alone", () => {
    expect(say("{name}: {n}", { name: "{n}", n: 3 })).toBe("{n}: 3");
  });

  it("picks a language and names spans and days", () => {
    expect([pickLang("zh-TW"), pickLang("en-GB"), pickLang("fr")]).toEqual(["zh", "en", "en"]);
    expect([span(59_000, "en"), span(3_600_000, "zh"), span(-5, "en")]).toEqual(["59 s", "1 小时", "0 s"]);
    const now = Date.parse("2026-11-23T12:00:00");
    expect(dayName("2026-11-23T08:00:00", now, "zh")).toBe("今天");
    expect(dayName("2026-11-22T08:00:00", now, "en")).toBe("Yesterday");
    expect(dayName("2024-02-01T08:00:00", now, "en")).toContain("2024");
  });
});

describe("IntentPicker", () => {
  const open = () => {
    const picked: string[] = [];
    const picker = new IntentPicker(new Speech("en", consoleWords("en"), (id) => id), (i) => picked.push(i.intent));
    picker.offer([{ intent: "order_status", title: "Where is my order" }, { intent: "refund", title: "退款" }, { intent: "return_policy", title: "<b>Send back</b>" }]);
    document.body.append(picker.el);
    const box = picker.el.querySelector("input");
    const search = (text: string) => {
      if (box === null) throw new Error("there is nothing to type into");
      box.value = text;
      box.dispatchEvent(new Event("input"));
      return [...picker.el.querySelectorAll("button")].map((b) => b.dataset["intent"]);
    };
    return { picker, picked, search };
  };

  it("finds intents by title and by name, in any case", () => {
    const { search } = open();
    expect(search("")).toEqual(["order_status", "refund", "return_policy"]);
    expect(search("ORDER")).toEqual(["order_status"]);
    expect(search("退")).toEqual(["refund"]);
    expect(search("return_")).toEqual(["return_policy"]);
    expect(search("nothing")).toEqual([]);
  });

  it("gives what is chosen, and shows titles as text", () => {
    const { picker, picked } = open();
    expect(picker.el.querySelector("b")).toBeNull();
    picker.el.querySelectorAll("button")[2]?.click();
    expect(picked).toEqual(["return_policy"]);
  });
});
