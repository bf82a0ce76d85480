import { fill, h, show } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import type { Page } from "./api.ts";
import { percent } from "./talkthread.ts";
import type { Words } from "./words.ts";

/** Verdict is what an intent engine's prediction comes to. */
export interface Verdict {
  action: string;
  intent?: string;
  confidence?: number;
  model?: string;
  behavior?: string;
  text?: string;
}

/** ShadowTurn is a visitor's message with what was said and what the other engine would have. */
export interface ShadowTurn {
  conversation_id: string;
  seq: number;
  text: string;
  silent?: boolean;
  own: Verdict;
  other?: Verdict;
  same?: boolean;
  failed?: boolean;
}

export interface ShadowOptions {
  words: Words;
  fetch(id: string): Promise<Page<ShadowTurn>>;
  after(ms: number, run: () => void): () => void;
}

/** The other engine answers a moment after the conversation has moved, so there is a second look. */
const looksMs = [200, 2500];

/** ShadowView shows admins what another intent engine, or a silent bot, would have said in a conversation. */
export class ShadowView {
  readonly el = h("section", { class: "shadows" });
  private shown = "";
  private id = "";
  private cancels: (() => void)[] = [];

  constructor(private readonly options: ShadowOptions) {
    show(this.el, false);
  }

  /** update looks again when the conversation is another one or has moved on. */
  update(id: string, version: number): void {
    const key = `${id}|${version}`;
    if (key === this.shown) return;
    this.shown = key;
    if (id !== this.id) this.draw([]);
    this.id = id;
    for (const cancel of this.cancels) cancel();
    this.cancels = looksMs.map((ms) => this.options.after(ms, () => void this.look(id)));
  }

  private async look(id: string): Promise<void> {
    try {
      const page = await this.options.fetch(id);
      if (id === this.id) this.draw(page.data);
    } catch {
      // It is a help and no part of the conversation: without it nothing is said.
    }
  }

  private draw(turns: ShadowTurn[]): void {
    const { words } = this.options;
    show(this.el, turns.length > 0);
    fill(this.el, turns.length > 0 && h("h3", {}, words.shadow), ...turns.slice(0, 10).map((t) => this.turn(t)));
  }

  private turn(t: ShadowTurn): HTMLElement {
    const { words } = this.options;
    const verdict = t.failed === true ? words.shadowFailed : t.other === undefined ? "" : t.same === true ? words.shadowSame : words.shadowDiffers;
    return h("article", { class: t.other !== undefined && t.same !== true ? "turn differs" : "turn" },
      h("p", { class: "asked" }, t.text),
      this.side(t.silent === true ? words.shadowWould : words.shadowSaid, t.own),
      t.other !== undefined && t.same !== true && this.side(words.shadowOther, t.other),
      verdict !== "" && h("p", { class: "soft" }, verdict));
  }

  private side(label: string, v: Verdict): HTMLElement {
    const { words } = this.options;
    const actions: Partial<Record<string, string>> = {
      answer: words.aAnswer, continue: words.aContinue, clarify: words.aClarify, fallback: words.aFallback, handover: words.aHandover,
    };
    const what = [actions[v.action] ?? v.action, v.intent ?? "", percent(v.confidence)].filter((s) => s !== "").join(" · ");
    const text = v.text ?? (v.behavior === undefined ? undefined : say(words.shadowBehavior, { name: v.behavior }));
    return h("div", { class: "verdict" }, h("p", {}, h("strong", {}, label), ` ${what}`), text !== undefined && text !== "" && h("blockquote", {}, text),
      v.model !== undefined && v.model !== "" && h("p", { class: "soft" }, v.model));
  }
}
