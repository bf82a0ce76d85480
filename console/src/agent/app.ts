import { browserShelf } from "../sdk/outbox.ts";
import { browserRuntime } from "../sdk/runtime.ts";
import type { Profile } from "../sdk/frames.ts";
import type { Bubble } from "../sdk/timeline.ts";
import { h, show } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import type { Lang } from "../ui/lang.ts";
import { say } from "../ui/lang.ts";
import type { Api, Inbox, Me } from "./api.ts";
import { Desk } from "./desk.ts";
import { askIntent } from "./judge.ts";
import { showLearning } from "./learning.ts";
import type { Filter } from "./filter.ts";
import { Knowledge } from "./knowledge.ts";
import { ConversationList } from "./list.ts";
import { Lists } from "./lists.ts";
import { Toasts } from "./menu.ts";
import { Speech } from "./say.ts";
import { refusalText } from "./directory.ts";
import { Seen } from "./seen.ts";
import { ShadowView } from "./shadow.ts";
import { listenForShortcuts, showShortcuts } from "./shortcuts.ts";
import { PersonView } from "./person.ts";
import { Side } from "./side.ts";
import type { Deed } from "./talk.ts";
import { Talk } from "./talk.ts";
import { Topbar } from "./topbar.ts";
import { consoleWords } from "./words.ts";

const tickMs = 15_000;

export interface AppOptions {
  api: Api;
  me: Me;
  inboxes: Inbox[];
  agents: Profile[];
  lang: Lang;
  onLang(): void;
  onTheme(): void;
  onSignOut(): void;
}

/** App is the console of a signed-in agent. */
export class App {
  readonly el: HTMLElement;
  private readonly desk: Desk;
  private readonly lists: Lists;
  private readonly seen = new Seen(browserShelf());
  private readonly topbar: Topbar;
  private readonly list: ConversationList;
  private readonly talk: Talk;
  private readonly side: Side;
  private readonly shadows: ShadowView | undefined;
  private readonly person: PersonView;
  private readonly nothing: HTMLElement;
  private readonly columns: HTMLElement;
  private readonly knowledge: Knowledge | undefined;
  private readonly endings: (() => void)[] = [];
  private filter: Filter = "waiting";
  private inbox = "";
  private query = "";

  constructor(private readonly options: AppOptions) {
    const words = consoleWords(options.lang);
    const names = new Map(options.agents.map((a) => [a.id, a.name]));
    const speech = new Speech(options.lang, words, (id) => names.get(id) ?? id);
    const toasts = new Toasts();
    this.desk = new Desk({
      api: options.api, me: options.me, inboxes: options.inboxes, speech,
      onChange: () => this.render(),
      onReady: () => void this.lists.refresh(),
      tell: (text, tone) => toasts.tell(text, tone),
    });
    this.lists = new Lists(options.api, this.desk.client.store, () => this.render());
    this.topbar = new Topbar({
      words, me: options.me,
      onPresence: (p) => this.desk.present(p), onTheme: () => options.onTheme(), onLang: () => options.onLang(), onHelp: () => showShortcuts(words),
      onKnowledge: options.me.role === "admin" ? () => this.read(this.knowledge?.el.hidden === true) : undefined,
      onLearning: options.me.role === "admin" ? () => showLearning({ api: options.api, inboxes: options.inboxes, speech, tell: (text, tone) => toasts.tell(text, tone) }) : undefined,
      onSignOut: () => options.onSignOut(), onRetry: () => this.desk.client.retry(),
    });
    this.list = new ConversationList({
      speech, me: options.me.id, inboxes: options.inboxes,
      onFilter: (f) => this.turnTo(f),
      onInbox: (i) => {
        this.inbox = i;
        this.render();
      },
      onSearch: (q) => {
        this.query = q.trim();
        this.render();
      },
      onSelect: (id) => this.select(id), onMore: () => void this.lists.more(this.filter), onRetry: () => void this.lists.refresh(),
    });
    this.talk = new Talk({
      speech,
      onDeed: (deed) => void this.act(deed),
      onSay: (text, kind, files) => this.desk.selected !== undefined && this.desk.client.say(text, kind, this.desk.selected, files),
      files: options.api, limits: options.me.files, upload: (id, file, onProgress) => options.api.upload(id, file, onProgress),
      onTyping: (on) => this.desk.selected !== undefined && this.desk.client.typing(this.desk.selected, on),
      onAgain: (id) => this.desk.client.sayAgain(id), onDiscard: (id) => this.desk.client.discard(id),
      onJudge: (bubble, verdict) => this.judge(bubble, verdict, speech),
      onEarlier: () => void this.desk.earlier(),
      onBack: () => this.select(undefined), onDetails: () => this.columns.classList.toggle("detailed"),
      onDraft: options.me.drafts === true ? () => this.desk.draft() : undefined,
    });
    if (options.me.shadows === true) {
      this.shadows = new ShadowView({ words, fetch: (id) => options.api.shadows(id), after: (ms, run) => browserRuntime.after(ms, run) });
    }
    this.person = new PersonView({
      speech, person: (contact) => options.api.person(contact), detail: (id) => options.api.conversation(id),
      change: (contact, verb, other) => options.api.changePerson(contact, verb, other), failed: (err) => toasts.tell(refusalText(err, speech, undefined), "bad"),
      erase: options.me.role === "admin" ? (contact) => options.api.erasePerson(contact).then((r) => toasts.tell(say(words.eraseDone, { n: `${r.conversations}` }), "ok")) : undefined,
    });
    this.side = new Side({ speech, more: h("div", {}, this.person.el, this.shadows?.el), onPriority: (p) => this.desk.prioritize(p), onTag: (add, remove) => this.desk.tag(add, remove), onClose: () => this.columns.classList.remove("detailed") });
    this.nothing = h("section", { class: "nothing" }, icon("inbox", "icon big"), h("p", {}, words.choose), h("p", { class: "soft" }, words.chooseMore));
    this.columns = h("main", { class: "columns" }, this.list.el, this.talk.el, this.nothing, this.side.el);
    if (options.me.role === "admin") this.knowledge = new Knowledge({ api: options.api, speech, tell: (text, tone) => toasts.tell(text, tone) });
    this.el = h("div", { class: "console" }, this.topbar.el, this.topbar.banner, this.columns, this.knowledge?.el, toasts.el);
    const here = (run: () => void) => () => this.columns.hidden || run();
    this.endings.push(() => this.knowledge?.close(), listenForShortcuts({
      move: (by) => here(() => this.move(by))(), write: (mode) => here(() => this.desk.selected !== undefined && this.talk.write(mode))(),
      deed: (what) => here(() => void this.act({ do: what }))(), snooze: here(() => this.talk.snoozeMenu()),
      search: () => this.columns.hidden ? this.knowledge?.search() : this.list.search.focus(), filter: (f) => here(() => this.turnTo(f))(),
      back: () => this.columns.hidden ? this.knowledge?.back() === false && this.read(false) : this.select(undefined),
    }, words));
  }

  /** start connects and keeps ages fresh. */
  start(): void {
    const tick = setInterval(() => this.render(), tickMs);
    const look = () => this.render();
    document.addEventListener("visibilitychange", look);
    this.endings.push(() => clearInterval(tick), () => document.removeEventListener("visibilitychange", look));
    this.desk.client.start();
    this.render();
  }

  /** stop ends the connection and everything that listens. */
  stop(): void {
    for (const end of this.endings) end();
    this.desk.client.stop();
  }

  /** read shows the packs in place of the conversations, or these again. */
  private read(open: boolean): void {
    show(this.columns, !open);
    if (open) this.knowledge?.open();
    else this.knowledge?.close();
    this.topbar.reading(open);
  }

  /** act carries a command out; who takes a conversation finds it among their own. */
  private async act(deed: Deed): Promise<void> {
    const done = await this.desk.deed(deed);
    const taken = deed.do === "claim" || (deed.do === "assign" && deed.to === this.options.me.id);
    if (done && taken && this.filter === "waiting") this.turnTo("mine");
  }

  /** judge says whether the bot was right; of a wrong answer it asks what it should have been. */
  private judge(bubble: Bubble, verdict: "right" | "wrong", speech: Speech): void {
    const id = this.desk.selected;
    const inbox = id === undefined ? undefined : this.desk.client.store.heads.get(id)?.inbox;
    if (id === undefined || inbox === undefined) return;
    if (verdict === "right") void this.desk.judge(id, bubble.seq, verdict, "");
    else askIntent(speech, this.options.api.intents(inbox, speech.lang), bubble.bot?.intent ?? "", (intent) => void this.desk.judge(id, bubble.seq, verdict, intent));
  }

  private turnTo(filter: Filter): void {
    this.filter = filter;
    this.lists.need(filter);
    this.render();
  }

  private select(id: string | undefined): void {
    this.desk.select(id);
    this.columns.classList.remove("detailed");
    if (id !== undefined) this.list.reveal(id);
    this.render();
  }

  private move(by: 1 | -1): void {
    const rows = this.lists.rows(this.filter, this.options.me.id, this.inbox, this.query);
    const at = rows.findIndex((s) => s.id === this.desk.selected);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
    if (next !== undefined) this.select(next.id);
  }

  private render(): void {
    const { client, selected, presence, everOpen } = this.desk;
    const me = this.options.me.id;
    const head = selected === undefined ? undefined : client.store.heads.get(selected);
    this.topbar.update(presence, client.phase, everOpen);
    const counts = this.lists.counts(me, this.inbox);
    this.look();
    this.list.update({
      filter: this.filter, counts, rows: this.lists.rows(this.filter, me, this.inbox, this.query), selected, unread: (s) => this.seen.unread(s),
      loading: this.lists.loading || !everOpen, failed: this.lists.failed, more: this.lists.hasMore(this.filter), searching: this.query !== "", now: Date.now(),
    });
    this.columns.classList.toggle("talking", head !== undefined);
    show(this.nothing, head === undefined);
    show(this.talk.el, head !== undefined);
    show(this.side.el, head !== undefined);
    if (head !== undefined && selected !== undefined) {
      const line = client.store.lines.get(selected);
      const unsent = client.outbox.all().filter((u) => u.conversation_id === selected);
      this.talk.update({ head, line, unsent, typing: this.desk.typingIn(selected), me, agents: this.options.agents });
      this.side.update(head, line);
      this.shadows?.update(selected, head.version);
      this.person.update(selected, head.version, head.contact);
    }
    const unread = [...client.store.heads.values()].filter((s) => s.assignee === me && this.seen.unread(s)).length;
    const n = counts.waiting + unread;
    const title = consoleWords(this.options.lang).product;
    document.title = n > 0 ? `(${n}) ${title}` : title;
  }

  /** look marks the open conversation as seen, here and on the server, while somebody looks at its end. */
  private look(): void {
    const id = this.desk.selected;
    const line = id === undefined ? undefined : this.desk.client.store.lines.get(id);
    if (id === undefined || line === undefined || document.visibilityState !== "visible" || !this.talk.atEnd()) return;
    const head = this.desk.client.store.heads.get(id);
    this.seen.mark(id, Math.max(line.version, head?.version ?? 0));
    if (line.lastVisitor > line.readAgent && head?.assignee === this.options.me.id) {
      this.desk.client.read(id, line.lastVisitor);
      line.readAgent = line.lastVisitor;
    }
  }
}
