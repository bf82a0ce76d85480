import { Keyed, h, show, write } from "../ui/dom.ts";
import type { FileSource } from "../ui/files.ts";
import { filesOf } from "../ui/files.ts";
import type { FileWords } from "../ui/filewords.ts";
import { icon } from "../ui/icon.ts";
import type { Lang } from "../ui/lang.ts";
import { clock, dayName, fullTime, initial, say } from "../ui/lang.ts";
import { linkify } from "../ui/linkify.ts";
import type { KeyedRow, Row, Tick } from "./rows.ts";
import type { Words } from "./words.ts";

const nearPx = 60;

export interface ThreadOptions {
  lang: Lang;
  words: Words;
  fileWords: FileWords;
  files: FileSource;
  onButton(text: string): void;
  onRetry(clientId: string): void;
  onDiscard(clientId: string): void;
  /** onWrong says that an answer is not to what was asked; undefined where the inbox does not ask. */
  onWrong(): ((seq: number) => Promise<boolean>) | undefined;
  onSeen(): void;
}

/** Thread shows the messages, keeps the end in view, and says whether the end is being looked at. */
export class Thread {
  readonly el: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly rows: Keyed<Row>;
  private readonly typingRow: HTMLElement;
  private readonly typingText: HTMLElement;
  private readonly more: HTMLButtonElement;
  private readonly greeting: HTMLElement;
  private newestKey = "";

  constructor(private readonly options: ThreadOptions) {
    const { words } = options;
    const list = h("div", { class: "rows", attrs: { role: "log", "aria-live": "polite", "aria-label": words.messages, "aria-busy": "true" } });
    this.rows = new Keyed(list, (row) => this.draw(row));
    this.typingText = h("span", { class: "sr" });
    this.typingRow = h("div", { class: "typing" }, h("span", { class: "dots", attrs: { "aria-hidden": "true" } }, h("i"), h("i"), h("i")), this.typingText);
    this.greeting = h("div", { class: "greeting" }, h("span", { class: "avatar large bot" }, icon("bot")), h("p", { class: "hello" }, words.welcome), h("p", {}, words.welcomeMore));
    this.scroller = h("div", { class: "scroller", attrs: { tabindex: 0, "aria-label": words.messages, role: "region" }, onscroll: () => this.onScroll() }, this.greeting, list, this.typingRow);
    this.more = h("button", { class: "more", attrs: { type: "button" }, onclick: () => this.toEnd() }, words.newMessages, icon("minimize"));
    this.el = h("div", { class: "thread" }, this.scroller, this.more);
    show(this.typingRow, false);
    show(this.more, false);
  }

  /** update shows rows; own says that the newest is the visitor's, after which the end comes into view. */
  update(rows: KeyedRow[], loaded: boolean): void {
    const newest = rows.at(-1);
    const fresh = newest !== undefined && newest.key !== this.newestKey;
    const mine = newest?.item.kind === "bubble" && newest.item.from === "visitor";
    const stay = this.atEnd();
    show(this.greeting, loaded && rows.length === 0);
    this.rows.update(rows.map((r) => ({ key: r.key, version: r.version, item: r.item })));
    this.newestKey = newest?.key ?? "";
    if (loaded) this.scroller.querySelector(".rows")?.setAttribute("aria-busy", "false");
    if (stay || (fresh && mine)) this.toEnd();
    else if (fresh) show(this.more, true);
  }

  /** typing shows who is writing, or nobody. */
  typing(name: string | undefined): void {
    const stay = this.atEnd();
    show(this.typingRow, name !== undefined);
    write(this.typingText, name === undefined ? "" : say(this.options.words.typing, { name }));
    if (stay) this.toEnd();
  }

  /** atEnd reports whether the newest message is in view. */
  atEnd(): boolean {
    const s = this.scroller;
    return s.scrollHeight - s.scrollTop - s.clientHeight < nearPx;
  }

  /** toEnd brings the newest message into view. */
  toEnd(): void {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    show(this.more, false);
  }

  private onScroll(): void {
    if (!this.atEnd()) return;
    show(this.more, false);
    this.options.onSeen();
  }

  private draw(row: Row): HTMLElement {
    const { lang, words } = this.options;
    switch (row.kind) {
      case "day":
        return h("div", { class: "day" }, h("span", {}, dayName(row.at, Date.now(), lang)));
      case "mark":
        return h("div", { class: "mark", attrs: { title: fullTime(row.mark.at, lang) } }, this.markText(row));
      case "bubble":
        return row.from === "visitor" ? this.own(row) : this.theirs(row, words);
    }
  }

  private markText(row: Extract<Row, { kind: "mark" }>): string {
    const { words } = this.options;
    const entry = row.mark.entry;
    switch (entry.type) {
      case "conversation.handover":
        return words.markHandover;
      case "conversation.assigned":
        return say(words.markAssigned, { name: entry.data.name });
      case "conversation.status_changed":
        return entry.data.to === "pending" ? words.markBot : words.markResolved;
      default:
        return "";
    }
  }

  private own(row: Extract<Row, { kind: "bubble" }>): HTMLElement {
    const { words, lang } = this.options;
    const tick = row.tick ?? "stored";
    const meta = h("div", { class: `meta ${tick}` }, clock(row.at, lang), tickIcon(tick), h("span", { class: "sr" }, tickText(tick, words)));
    const el = h("div", { class: classes("row own", row) }, row.text !== "" && h("div", { class: "bubble" }, ...linkify(row.text)), this.files(row), row.last || tick !== "read" ? meta : null);
    if (tick === "refused" && row.clientId !== undefined) {
      const id = row.clientId;
      el.append(
        h("div", { class: "refused", attrs: { role: "alert" } }, row.refused === "text_too_long" ? words.tooLong : words.refused,
          h("button", { attrs: { type: "button" }, onclick: () => this.options.onRetry(id) }, words.retry),
          h("button", { attrs: { type: "button" }, onclick: () => this.options.onDiscard(id) }, words.discard)),
      );
    }
    return el;
  }

  private theirs(row: Extract<Row, { kind: "bubble" }>, words: Words): HTMLElement {
    const bot = row.from === "bot";
    const name = bot ? words.bot : (row.name ?? words.agent);
    const avatar = h("span", { class: `avatar ${row.from}`, attrs: { "aria-hidden": "true" } }, bot ? icon("bot") : initial(name));
    return h("div", { class: classes(`row their ${row.from}`, row) },
      row.first ? avatar : null,
      h("div", { class: "stack" },
        row.first ? h("div", { class: "who" }, name, h("span", { class: "kind" }, bot ? "" : words.agent)) : null,
        row.text !== "" && h("div", { class: "bubble" }, ...linkify(row.text)),
        this.files(row),
        row.last ? h("div", { class: "meta" }, clock(row.at, this.options.lang), this.notAsked(row)) : null,
        row.buttons.length > 0 ? h("div", { class: "quick" }, ...row.buttons.map((b) => h("button", { attrs: { type: "button" }, onclick: () => this.options.onButton(b.text) }, b.label))) : null));
  }

  private files(row: Extract<Row, { kind: "bubble" }>): HTMLElement | null {
    return filesOf(row.attachments, this.options.fileWords, this.options.files);
  }

  /** notAsked lets the visitor say that the newest answer misses the question. */
  private notAsked(row: Extract<Row, { kind: "bubble" }>): HTMLElement | null {
    const tell = this.options.onWrong();
    const answer = row.answer;
    if (tell === undefined || answer === undefined) return null;
    const { words } = this.options;
    const button = h("button", { class: "notasked", attrs: { type: "button" }, onclick: () => {
      button.disabled = true;
      void tell(answer.seq).then((noted) => write(button, noted ? words.notAskedThanks : words.notAsked));
    } }, words.notAsked);
    return button;
  }
}

function classes(base: string, row: { first: boolean; last: boolean }): string {
  return `${base}${row.first ? " first" : ""}${row.last ? " last" : ""}`;
}

function tickIcon(tick: Tick): SVGSVGElement {
  const names = { sending: "clock", stored: "check", read: "checks", refused: "alert" } as const;
  return icon(names[tick], "icon tick");
}

function tickText(tick: Tick, words: Words): string {
  const texts = { sending: words.sending, stored: words.stored, read: words.read, refused: words.refused };
  return texts[tick];
}
