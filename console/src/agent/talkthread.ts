import type { Bubble } from "../sdk/timeline.ts";
import { h, Keyed, show, write } from "../ui/dom.ts";
import type { FileSource } from "../ui/files.ts";
import { filesOf } from "../ui/files.ts";
import type { FileWords } from "../ui/filewords.ts";
import { icon } from "../ui/icon.ts";
import { clock, dayName, fullTime, initial, say } from "../ui/lang.ts";
import { linkify } from "../ui/linkify.ts";
import type { Speech } from "./say.ts";
import type { KeyedLine, Line } from "./talkrows.ts";

const nearPx = 80;

export interface TalkThreadOptions {
  speech: Speech;
  files: FileSource;
  fileWords: FileWords;
  onEarlier(): void;
  onAgain(clientId: string): void;
  onDiscard(clientId: string): void;
  /** onJudge is about a message of the bot: right, or wrong and what it should have been taken for. */
  onJudge(bubble: Bubble, verdict: "right" | "wrong"): void;
}

/** TalkThread shows a conversation to an agent: messages, notes, what happened, and why the bot said what it said. */
export class TalkThread {
  readonly el: HTMLElement;
  private readonly rows: Keyed<Line>;
  private readonly typingRow = h("div", { class: "typing", attrs: { "aria-live": "off" } });
  private readonly typingText = h("span");
  private readonly earlier: HTMLButtonElement;
  private newest = "";
  private oldest = "";

  constructor(private readonly options: TalkThreadOptions) {
    const list = h("div", { class: "rows", attrs: { role: "log", "aria-live": "polite", "aria-label": options.speech.words.messages } });
    this.rows = new Keyed(list, (line) => this.draw(line));
    this.earlier = h("button", { class: "quiet load", attrs: { type: "button" }, onclick: () => options.onEarlier() }, options.speech.words.earlier);
    this.typingRow.append(h("span", { class: "dots", attrs: { "aria-hidden": "true" } }, h("i"), h("i"), h("i")), this.typingText);
    this.el = h("div", { class: "scroller", attrs: { tabindex: 0, role: "region", "aria-label": options.speech.words.messages } }, this.earlier, list, this.typingRow);
    show(this.typingRow, false);
  }

  /** update shows lines; the end stays in view when it was. */
  update(lines: KeyedLine[], more: boolean): void {
    show(this.earlier, more);
    const stay = this.atEnd() || this.newest === "";
    const below = this.el.scrollHeight - this.el.scrollTop;
    const oldest = lines[1]?.key ?? "";
    const grown = oldest !== this.oldest && this.oldest !== "";
    const newest = lines.at(-1);
    const mine = newest?.item.kind === "unsent" && newest.key !== this.newest;
    this.rows.update(lines);
    this.newest = newest?.key ?? "";
    this.oldest = oldest;
    if (stay || mine) this.toEnd();
    else if (grown) this.el.scrollTop = this.el.scrollHeight - below; // what was being read stays where it was
  }

  /** clear forgets the place, for another conversation. */
  clear(): void {
    this.newest = this.oldest = "";
    this.rows.update([]);
  }

  typing(name: string | undefined): void {
    const stay = this.atEnd();
    show(this.typingRow, name !== undefined);
    write(this.typingText, name === undefined ? "" : say(this.options.speech.words.typing, { name }));
    if (stay) this.toEnd();
  }

  atEnd(): boolean {
    return this.el.scrollHeight - this.el.scrollTop - this.el.clientHeight < nearPx;
  }

  private toEnd(): void {
    this.el.scrollTop = this.el.scrollHeight;
  }

  private draw(line: Line): HTMLElement {
    const { speech } = this.options;
    const { words, lang } = speech;
    switch (line.kind) {
      case "day":
        return h("div", { class: "day" }, h("span", {}, dayName(line.at, Date.now(), lang)));
      case "mark":
        return this.mark(line);
      case "unsent": {
        const u = line.unsent;
        const refused = u.refused !== undefined;
        return h("div", { class: `row own ${u.kind === "note" ? "note" : "agent"} first last` }, h("div", { class: "stack" }, u.text !== "" && h("div", { class: "bubble pending" }, ...linkify(u.text)), filesOf(u.attachments, this.options.fileWords, this.options.files),
          h("div", { class: refused ? "meta refused" : "meta" }, icon(refused ? "alert" : "clock", "icon tick"), refused ? say(words.notSent, { why: this.why(u.refused ?? "") }) : words.sending,
            refused && h("button", { attrs: { type: "button" }, onclick: () => this.options.onAgain(u.client_id) }, words.retry),
            refused && h("button", { attrs: { type: "button" }, onclick: () => this.options.onDiscard(u.client_id) }, words.discard))));
      }
      case "bubble":
        return this.bubble(line);
    }
  }

  private why(code: string): string {
    const { words } = this.options.speech;
    const texts: Record<string, string> = { text_too_long: words.tooLong, not_assignee: words.conflict, already_claimed: words.conflict, conversation_closed: words.hintClosed };
    return texts[code] ?? code;
  }

  private mark(line: Extract<Line, { kind: "mark" }>): HTMLElement {
    const { speech } = this.options;
    const { words } = speech;
    const text = h("span", {}, speech.mark(line.mark), h("time", { attrs: { datetime: line.mark.at, title: fullTime(line.mark.at, speech.lang) } }, clock(line.mark.at, speech.lang)));
    const entry = line.mark.entry;
    if (entry.type !== "conversation.handover") return h("div", { class: "mark" }, text);
    const d = entry.data;
    return h("div", { class: "mark handover" }, text,
      d.intent !== undefined && d.intent !== "" && h("span", { class: "facts" }, `${words.intent} ${d.intent} ${percent(d.confidence)}`),
      d.summary !== undefined && d.summary !== "" && h("span", { class: "facts" }, `${words.summary}: ${d.summary}`));
  }

  private bubble(line: Extract<Line, { kind: "bubble" }>): HTMLElement {
    const { speech } = this.options;
    const { words, lang } = speech;
    const b = line.bubble;
    const own = b.from !== "visitor";
    const name = b.from === "visitor" ? words.visitor : b.from === "bot" ? words.bot : (b.name ?? speech.nameOf(b.agent ?? ""));
    const avatar = h("span", { class: `avatar ${b.from}`, attrs: { "aria-hidden": "true" } }, b.from === "bot" ? icon("bot") : b.from === "visitor" ? icon("person") : initial(name));
    const side = b.kind === "note" ? "own note" : own ? `own ${b.from}` : "their";
    return h("div", { class: `row ${side}${line.first ? " first" : ""}${line.last ? " last" : ""}`, attrs: { "data-seq": b.seq } },
      line.first ? avatar : null,
      h("div", { class: "stack" },
        line.first ? h("div", { class: "who" }, b.kind === "note" ? icon("note") : null, b.kind === "note" ? `${words.note} · ${name}` : name, b.kind === "note" && h("span", { class: "kind" }, words.noteOnly)) : null,
        b.text !== "" && h("div", { class: "bubble" }, ...linkify(b.text)),
        filesOf(b.attachments, this.options.fileWords, this.options.files),
        b.buttons.length > 0 && h("div", { class: "offered" }, ...b.buttons.map((x) => h("span", {}, x.label))),
        this.reasons(b),
        this.verdicts(b),
        line.last ? h("div", { class: line.fate === "read" && own ? "meta read" : "meta", attrs: { title: fullTime(b.at, lang) } }, clock(b.at, lang), ...this.fate(line)) : null));
  }

  private fate(line: Extract<Line, { kind: "bubble" }>): (Node | string)[] {
    const { words } = this.options.speech;
    const b = line.bubble;
    if (b.kind === "note" || b.from === "visitor") return [];
    if (b.delivery === "failed") return [icon("alert", "icon tick bad"), words.failed];
    if (b.delivery === "uncertain") return [icon("alert", "icon tick"), words.uncertain];
    if (b.delivery === "pending") return [icon("clock", "icon tick"), words.pendingDelivery];
    const texts = { stored: words.stored, delivered: words.delivered, read: words.readBy };
    return [icon(line.fate === "stored" ? "check" : "checks", "icon tick"), h("span", { class: "sr" }, texts[line.fate])];
  }

  /** verdicts shows what was said about a message of the bot, and asks for it. */
  private verdicts(b: Bubble): HTMLElement | null {
    const { words, nameOf } = this.options.speech;
    if (b.from !== "bot" || b.kind !== "message" || b.bot === undefined) return null;
    const said = (b.judged ?? []).map((j) => h("span", { class: `verdict ${j.verdict}` },
      say(j.verdict === "right" ? words.judgedRight : words.judgedWrong, { name: j.by === "visitor" ? words.visitor : (j.name ?? nameOf(j.agent ?? "")) }),
      j.intent !== undefined && j.intent !== "" && ` → ${j.intent}`));
    const button = (verdict: "right" | "wrong", label: string) => h("button", { class: "judge", attrs: { type: "button", "data-judge": verdict }, onclick: () => this.options.onJudge(b, verdict) }, label);
    const answers = b.bot.intent !== undefined && b.bot.intent !== "";
    return h("div", { class: "verdicts" }, ...said, answers && button("right", words.judgeRight), button("wrong", answers ? words.judgeWrong : words.judgeMissed));
  }

  /** reasons tells what a message was taken for, or why the bot answered so. */
  private reasons(b: Bubble): HTMLElement | null {
    const { words } = this.options.speech;
    const bot = b.bot;
    if (b.from === "bot" && bot !== undefined && (bot.intent ?? bot.behavior ?? bot.model) !== undefined) {
      return h("details", { class: "why" }, h("summary", {}, words.why),
        facts([[words.intent, bot.intent], [words.confidence, percent(bot.confidence)], [words.behavior, bot.behavior], [words.model, bot.model]]));
    }
    const turn = b.turn;
    if (turn === undefined) return null;
    const slots = Object.entries(turn.slots ?? {}).map(([k, v]) => `${k} = ${v}`).join(", ");
    const label = turn.intent === undefined || turn.intent === "" || turn.abstained === true ? words.notUnderstood : `${words.understood} ${turn.intent}`;
    return h("div", { class: "taken" }, label, h("span", {}, percent(turn.confidence)), slots !== "" && h("span", {}, slots));
  }
}

function facts(pairs: [string, string | undefined][]): HTMLElement {
  return h("dl", {}, ...pairs.filter(([, v]) => v !== undefined && v !== "").flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
}

/** percent shows a confidence. */
export function percent(confidence: number | undefined): string {
  return confidence === undefined || confidence === 0 ? "" : `${Math.round(confidence * 100)} %`;
}
