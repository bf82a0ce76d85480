import type { Attachment, Summary } from "../sdk/frames.ts";
import type { Unsent } from "../sdk/outbox.ts";
import type { Bubble, Timeline } from "../sdk/timeline.ts";
import { Composer } from "../ui/composer.ts";
import { fill, h, show, write } from "../ui/dom.ts";
import type { FileSource } from "../ui/files.ts";
import { fileWordsOf } from "../ui/filewords.ts";
import { icon } from "../ui/icon.ts";
import { say } from "../ui/lang.ts";
import { Tray } from "../ui/tray.ts";
import type { FileLimits, Upload } from "../ui/upload.ts";
import { DraftButton } from "./draft.ts";
import { openMenu } from "./menu.ts";
import type { MenuEntry } from "./menu.ts";
import type { Speech } from "./say.ts";
import { linesOf } from "./talkrows.ts";
import { TalkThread } from "./talkthread.ts";

export type Deed =
  | { do: "claim" | "release" | "resolve" | "reopen" | "wake" | "to_bot" }
  | { do: "assign"; to: string }
  | { do: "snooze"; until: Date };

export interface TalkState {
  head: Summary;
  line: Timeline | undefined;
  unsent: readonly Unsent[];
  typing: string | undefined;
  me: string;
  agents: { id: string; name: string }[];
}

export interface TalkOptions {
  speech: Speech;
  onDeed(deed: Deed): void;
  onSay(text: string, kind: "message" | "note", files: readonly Attachment[]): boolean;
  /** files is where those of messages come from. */
  files: FileSource;
  /** limits of files; left out where the server takes none. */
  limits: FileLimits | undefined;
  upload(conversationId: string, file: File, onProgress: (part: number) => void): Upload;
  onTyping(on: boolean): void;
  onAgain(clientId: string): void;
  onDiscard(clientId: string): void;
  onJudge(bubble: Bubble, verdict: "right" | "wrong"): void;
  onEarlier(): void;
  onBack(): void;
  onDetails(): void;
  /** onDraft drafts a reply to the open conversation; left out where the server drafts none. */
  onDraft?: (() => Promise<string | undefined>) | undefined;
}

type Mode = "message" | "note";

/** Talk is the middle column: one conversation with its actions and composer. */
export class Talk {
  readonly el: HTMLElement;
  private readonly title = h("h2");
  private readonly subtitle = h("p", { class: "soft" });
  private readonly mood = h("span", { class: "chip mood" });
  private readonly actions = h("div", { class: "actions" });
  private readonly hint = h("div", { class: "hint" });
  private readonly thread: TalkThread;
  private readonly composer: Composer;
  private readonly tray: Tray;
  private readonly modes: Record<Mode, HTMLButtonElement>;
  private readonly foot: HTMLElement;
  private readonly draft: DraftButton | undefined;
  private mode: Mode = "message";
  private shown = "";
  private actionsFor = "";
  private state: TalkState | undefined;
  private readonly drafts = new Map<string, string>();

  constructor(private readonly options: TalkOptions) {
    const { words } = options.speech;
    const fileWords = fileWordsOf(options.speech.lang);
    this.tray = new Tray({ words: fileWords, limits: () => options.limits, send: (file, onProgress) => options.upload(this.shown, file, onProgress), onChange: () => (this.composer as Composer | undefined)?.refresh() });
    this.thread = new TalkThread({ speech: options.speech, files: options.files, fileWords, onEarlier: () => options.onEarlier(), onAgain: (id) => options.onAgain(id), onDiscard: (id) => options.onDiscard(id), onJudge: (b, v) => options.onJudge(b, v) });
    this.composer = new Composer({
      label: words.reply, placeholder: words.replyPlaceholder, send: words.send,
      onSend: (text) => this.send(text),
      onTyping: (on) => this.mode === "message" && options.onTyping(on),
      attach: {
        label: fileWords.attach, drop: fileWords.drop, add: (files) => this.tray.add(files),
        busy: () => this.mode === "message" && this.tray.busy, some: () => this.mode === "message" && this.tray.attachments.length > 0,
      },
    });
    const tab = (mode: Mode, label: string) => h("button", { attrs: { type: "button", "aria-pressed": "false" }, onclick: () => this.write(mode) }, mode === "note" ? icon("note") : icon("chat"), label);
    this.modes = { message: tab("message", words.reply), note: tab("note", words.note) };
    if (options.onDraft !== undefined) this.draft = new DraftButton({ words, ask: options.onDraft, place: () => this.shown, put: (text) => this.take(text) });
    this.foot = h("div", { class: "foot" }, this.hint, h("div", { class: "modes", attrs: { role: "group" } }, this.modes.message, this.modes.note, this.draft?.el, h("span", { class: "keyhint" }, words.keyHint)), this.tray.el, this.composer.el);
    this.el = h("section", { class: "talk", attrs: { "aria-label": words.messages } },
      h("header", {},
        h("button", { class: "icononly back", attrs: { type: "button", "aria-label": words.back, title: words.back }, onclick: () => options.onBack() }, icon("back")),
        h("div", { class: "titles" }, this.title, this.subtitle), this.mood, this.actions,
        h("button", { class: "icononly info", attrs: { type: "button", "aria-label": words.details, title: words.details }, onclick: () => options.onDetails() }, icon("person"))),
      this.thread.el, this.foot);
    this.setMode("message");
  }

  /** write puts the cursor into the composer, for a reply or a note. */
  write(mode: Mode): void {
    this.setMode(mode);
    this.composer.focus();
  }

  /** atEnd reports whether the newest message is in view. */
  atEnd(): boolean {
    return this.thread.atEnd();
  }

  /** update shows a conversation. */
  update(state: TalkState): void {
    const { head } = state;
    if (this.shown !== head.id) this.turnTo(head.id);
    this.state = state;
    const { speech } = this.options;
    write(this.title, speech.visitor(head));
    const mood = speech.mood(head);
    show(this.mood, mood !== undefined);
    if (mood !== undefined) fill(this.mood, mood.label, h("span", { class: "why" }, mood.reasons));
    write(this.subtitle, `${speech.status(head)} · ${head.assignee_name ?? speech.words.nobody} · ${head.inbox} · ${head.channel}`);
    if (state.line !== undefined) this.thread.update(linesOf(state.line, state.unsent), state.line.from > 0);
    this.thread.typing(state.typing);
    this.renderActions(state);
    this.renderHint(state);
    const closed = head.status === "closed";
    this.composer.enable(!closed);
    if (this.draft !== undefined) show(this.draft.el, !closed && this.mode === "message");
    show(this.foot, true);
  }

  /** snoozeMenu opens the choice of times, as the shortcut does. */
  snoozeMenu(): void {
    const button = this.actions.querySelector<HTMLElement>(".snooze");
    if (button !== null) openMenu(button, this.options.speech.words.snoozeFor, this.snoozes());
  }

  /** send says what was written; the files beside it go with a reply, and wait beside a note. */
  private send(text: string): boolean {
    const files = this.mode === "message" ? this.tray.attachments : [];
    if (!this.options.onSay(text, this.mode, files)) return false;
    if (this.mode === "message") this.tray.clear();
    return true;
  }

  /** take puts a draft into the box, below what stands there. Sending it is the agent's. */
  private take(text: string): void {
    const before = this.composer.text.trimEnd();
    this.composer.set(before === "" ? text : `${before}\n\n${text}`);
    this.write("message");
  }

  private turnTo(id: string): void {
    if (this.shown !== "") this.drafts.set(this.shown, this.composer.text);
    this.shown = id;
    this.thread.clear();
    this.tray.clear(); // its files were handed in for the other conversation
    this.composer.set(this.drafts.get(id) ?? "");
    this.setMode("message");
  }

  private setMode(mode: Mode): void {
    const { words } = this.options.speech;
    this.mode = mode;
    for (const m of ["message", "note"] as const) this.modes[m].setAttribute("aria-pressed", String(m === mode));
    this.foot.classList.toggle("noting", mode === "note");
    if (this.draft !== undefined) show(this.draft.el, mode === "message");
    this.composer.takeFiles(mode === "message" && this.options.limits !== undefined);
    this.composer.refresh();
    if (mode === "note") this.composer.label(words.note, words.notePlaceholder);
    else this.composer.label(words.reply, words.replyPlaceholder);
  }

  private renderHint(state: TalkState): void {
    const { speech } = this.options;
    const { words } = speech;
    const { head, me } = state;
    let text = "";
    if (head.status === "closed") text = words.hintClosed;
    else if (head.status === "resolved") text = words.hintResolved;
    else if (head.status === "snoozed") text = say(words.hintSnoozed, { t: head.snoozed_until === undefined ? "" : speech.moment(head.snoozed_until) });
    else if (head.status === "pending") text = words.hintBot;
    else if (head.assignee !== undefined && head.assignee !== "" && head.assignee !== me) text = say(words.hintOther, { name: head.assignee_name ?? speech.nameOf(head.assignee) });
    else if (head.queue === "queued") text = words.hintQueued;
    write(this.hint, text);
    show(this.hint, text !== "");
  }

  /** renderActions offers what the status allows; it leaves the buttons alone while nothing has changed, so that focus stays. */
  private renderActions(state: TalkState): void {
    const { head, me } = state;
    const key = [head.id, head.status, head.assignee, head.queue, state.agents.length].join("|");
    if (key === this.actionsFor) return;
    this.actionsFor = key;
    const { words } = this.options.speech;
    const deed = (d: Deed, label: string, className = "quiet") => h("button", { class: className, attrs: { type: "button", "data-do": d.do }, onclick: () => this.options.onDeed(d) }, label);
    const mine = head.assignee === me;
    const owned = head.assignee !== undefined && head.assignee !== "";
    const buttons: HTMLElement[] = [];
    const more: MenuEntry[] = [];
    if (head.status === "pending" || head.status === "open" || head.status === "snoozed") {
      if (!owned) buttons.push(deed({ do: "claim" }, words.claim, "primary"));
      else if (!mine) buttons.push(deed({ do: "assign", to: me }, words.assignMe));
      if (head.status === "snoozed") buttons.push(deed({ do: "wake" }, words.wake));
      buttons.push(deed({ do: "resolve" }, words.resolve, mine ? "primary" : "quiet"));
      if (head.status === "open") buttons.push(this.snoozeButton());
      if (owned) more.push({ label: words.release, run: () => this.options.onDeed({ do: "release" }) });
      if (head.status === "open") more.push({ label: words.toBot, run: () => this.options.onDeed({ do: "to_bot" }) });
      for (const a of state.agents) {
        if (a.id !== head.assignee && a.id !== me) more.push({ label: `${words.assign} ${a.name}`, run: () => this.options.onDeed({ do: "assign", to: a.id }) });
      }
    } else if (head.status === "resolved") buttons.push(deed({ do: "reopen" }, words.reopen, "primary"));
    fill(this.actions, ...buttons, more.length > 0 && this.moreButton(more));
  }

  private snoozeButton(): HTMLElement {
    const { words } = this.options.speech;
    const button = h("button", { class: "icononly snooze", attrs: { type: "button", "aria-label": words.snooze, title: words.snooze, "aria-haspopup": "menu" }, onclick: () => openMenu(button, words.snoozeFor, this.snoozes()) }, icon("snooze"));
    return h("div", { class: "menubox" }, button);
  }

  private moreButton(entries: MenuEntry[]): HTMLElement {
    const { words } = this.options.speech;
    const button = h("button", { class: "icononly more", attrs: { type: "button", "aria-label": words.moreActions, title: words.moreActions, "aria-haspopup": "menu" }, onclick: () => openMenu(button, words.moreActions, entries) }, icon("more"));
    return h("div", { class: "menubox" }, button);
  }

  private snoozes(): MenuEntry[] {
    const { words } = this.options.speech;
    const until = (label: string, date: Date): MenuEntry => ({ label, run: () => this.options.onDeed({ do: "snooze", until: date }) });
    const now = Date.now();
    return [
      until(words.in20m, new Date(now + 20 * 60_000)), until(words.in1h, new Date(now + 3_600_000)), until(words.in4h, new Date(now + 4 * 3_600_000)),
      until(words.tomorrow, nineOClock(now, 1)), until(words.nextWeek, nineOClock(now, ((8 - new Date(now).getDay()) % 7) || 7)),
    ];
  }
}

function nineOClock(now: number, days: number): Date {
  const d = new Date(now);
  d.setDate(d.getDate() + days);
  d.setHours(9, 0, 0, 0);
  return d;
}
