import { fill, h, show } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { say } from "../ui/lang.ts";
import type { PackIntent, PackQuestion, Packs } from "./packs.ts";
import type { PackWords } from "./packwords.ts";

const typingMs = 200;

export interface ReaderOptions {
  packs: Packs;
  words: PackWords;
  /** onOpen shows a line of the pack's own text. */
  onOpen(line: number): void;
}

/** PackReader shows the intents of a pack with their questions and answers. */
export class PackReader {
  readonly el: HTMLElement;
  readonly search: HTMLInputElement;
  private readonly list = h("div", { class: "intents" });
  private readonly total = h("p", { class: "soft", attrs: { role: "status" } });
  private readonly more: HTMLButtonElement;
  private name = "";
  private cursor = "";
  private asked = 0; // counts requests, so that a late answer is not shown
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ReaderOptions) {
    const { words } = options;
    this.search = h("input", { attrs: { type: "search", placeholder: words.searchIntents, "aria-label": words.searchIntents }, oninput: () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.load(""), typingMs);
    } });
    this.more = h("button", { class: "quiet load", attrs: { type: "button" }, onclick: () => void this.load(this.cursor) }, words.more);
    this.el = h("div", { class: "packbody" }, h("div", { class: "searchbox" }, icon("search"), this.search), this.total, this.list, this.more);
    show(this.more, false);
  }

  /** show loads the intents of a pack from the beginning. */
  async show(name: string): Promise<void> {
    if (this.name !== name) this.search.value = "";
    this.name = name;
    await this.load("");
  }

  private async load(cursor: string): Promise<void> {
    const { packs, words } = this.options;
    const asked = ++this.asked;
    try {
      const page = await packs.intents(this.name, this.search.value, cursor);
      if (asked !== this.asked) return;
      const rows = page.data.map((i) => this.intent(i));
      if (cursor === "") fill(this.list, ...rows);
      else this.list.append(...rows);
      fill(this.total, page.total === 0 ? words.noIntents : say(words.found, { n: page.total }));
      this.cursor = page.meta?.next_cursor ?? "";
      show(this.more, this.cursor !== "");
    } catch {
      if (asked !== this.asked) return;
      fill(this.list); // a pack that has no good version yet says nothing
      fill(this.total, words.noIntents);
      show(this.more, false);
    }
  }

  private intent(i: PackIntent): HTMLElement {
    const { words } = this.options;
    const title = Object.values(i.title ?? {}).join(" / ");
    const chips = [
      i.background === true && words.background, i.handover === true && words.handover, i.flow !== undefined && say(words.flow, { f: i.flow }), i.own !== true && words.fromBelow,
    ].filter((c) => c !== false);
    const answers = Object.entries(i.answer ?? {});
    return h("details", { class: "intent", attrs: { "data-intent": i.id } },
      h("summary", {}, h("strong", {}, i.id), title !== "" && h("span", {}, title), h("span", { class: "n" }, i.ask.length), ...chips.map((c) => h("span", { class: "chip" }, c))),
      h("h3", {}, words.answer),
      ...(answers.length === 0 ? [h("p", { class: "soft" }, words.noAnswer)] : answers.map(([lang, text]) => h("p", { class: "answer" }, h("span", { class: "chip" }, lang), text))),
      this.questions(words.ask, i.ask), this.questions(words.not, i.not ?? []), this.questions(words.test, i.test ?? []),
      i.own === true && i.file.startsWith("saved:") && h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => this.options.onOpen(i.line) }, words.openAt));
  }

  private questions(label: string, list: PackQuestion[]): HTMLElement | undefined {
    if (list.length === 0) return undefined;
    return h("div", {}, h("h3", {}, label), h("ul", { class: "questions" }, ...list.map((q) => h("li", { class: q.own === true ? "own" : "" }, q.text))));
  }
}
