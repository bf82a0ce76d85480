import type { Client } from "../sdk/client.ts";
import { newClient } from "../sdk/client.ts";
import type { EventFrame, Party, ServerFrame } from "../sdk/frames.ts";
import { browserShelf } from "../sdk/outbox.ts";
import { browserRuntime } from "../sdk/runtime.ts";
import { Store } from "../sdk/store.ts";
import { plain, unreadOf } from "../sdk/timeline.ts";
import { emptyHead } from "../sdk/head.ts";
import { entryOf, place } from "../sdk/history.ts";
import type { Phase } from "../sdk/link.ts";
import { Refused } from "../sdk/session.ts";
import { VisitorSession } from "../sdk/visitor.ts";
import { Composer } from "../ui/composer.ts";
import { fill, h, show, write } from "../ui/dom.ts";
import { fileWordsOf } from "../ui/filewords.ts";
import { icon } from "../ui/icon.ts";
import { pickLang } from "../ui/lang.ts";
import { once } from "../ui/schedule.ts";
import { Tray } from "../ui/tray.ts";
import type { FileLimits } from "../ui/upload.ts";
import type { ToFrame, ToHost } from "./bridge.ts";
import { Bridge } from "./bridge.ts";
import { rowsOf } from "./rows.ts";
import { bannerText, statusText } from "./status.ts";
import { Thread } from "./thread.ts";
import { wordsOf } from "./words.ts";

const typingForMs = 6000;
const previewChars = 80;

/** WidgetFrame is the page inside the widget's frame. */
class WidgetFrame {
  private readonly params = new URLSearchParams(location.search);
  private readonly lang = pickLang(this.params.get("lang"));
  private readonly words = wordsOf(this.lang);
  private readonly session: VisitorSession;
  private readonly client: Client<Store>;
  private readonly thread: Thread;
  private readonly composer: Composer;
  private readonly tray: Tray;
  private readonly bridge: Bridge<ToFrame, ToHost> | undefined;
  private readonly status = h("p", { class: "status", attrs: { role: "status" } });
  private readonly banner = h("div", { class: "banner", attrs: { role: "alert" } });
  private readonly human: HTMLButtonElement;
  private opened: boolean;
  private everOpen = false;
  private feedback = false; // the inbox asks whether answers are right
  private limits: FileLimits | undefined; // of files; undefined where the server takes none
  private position: number | undefined;
  private readonly readTo = new Map<string, number>();
  private readonly arrived = new Map<string, number>();
  private arrivedTimer: ReturnType<typeof setTimeout> | undefined;
  private typing: { from: Party; name?: string | undefined } | undefined;
  private typingTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly draw = once(() => this.render());

  constructor() {
    const inbox = this.params.get("inbox") ?? "";
    const shelf = browserShelf();
    document.documentElement.lang = this.lang === "zh" ? "zh-CN" : "en";
    const theme = this.params.get("theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset["theme"] = theme;
    this.session = new VisitorSession("", inbox, shelf);
    this.client = newClient({
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/widget/ws`,
      streamBase: "/v1/widget",
      store: new Store(),
      runtime: browserRuntime,
      shelf,
      outboxKey: `colloquy.outbox.${inbox}`,
      placeKey: `colloquy.place.${inbox}`,
      credentials: this.session,
      follow: "all",
      listener: { onChange: this.draw, onFrame: (frame) => this.onFrame(frame), onEvent: (frame) => this.onEvent(frame), onPhase: (phase) => this.onPhase(phase) },
    });
    this.thread = new Thread({
      lang: this.lang,
      words: this.words,
      fileWords: fileWordsOf(this.lang),
      files: this.session,
      onButton: (text) => void this.say(text),
      onRetry: (id) => this.client.sayAgain(id),
      onDiscard: (id) => this.client.discard(id),
      onWrong: () => (this.feedback ? (seq) => this.session.judge(seq, "wrong").then(() => true, () => false) : undefined),
      onSeen: this.draw,
    });
    const fileWords = fileWordsOf(this.lang);
    this.tray = new Tray({ words: fileWords, limits: () => this.limits, send: (file, onProgress) => this.session.upload(file, onProgress), onChange: () => this.refit() });
    this.composer = new Composer({
      label: this.words.placeholder,
      placeholder: this.words.placeholder,
      send: this.words.send,
      onSend: (text) => this.sayAll(text),
      onTyping: (on) => this.tellTyping(on),
      attach: { label: fileWords.attach, drop: fileWords.drop, add: (files) => this.tray.add(files), busy: () => this.tray.busy, some: () => this.tray.attachments.length > 0 },
    });
    this.human = h("button", { class: "human", attrs: { type: "button" }, onclick: () => void this.say(this.words.humanText) }, icon("headset"), this.words.human);
    this.bridge = this.bridgeToHost();
    this.opened = this.bridge === undefined;
  }

  /** run builds the page and connects. */
  run(): void {
    const close = h("button", { class: "minimize", attrs: { type: "button", "aria-label": this.words.minimize, title: this.words.minimize }, onclick: () => this.bridge?.post({ t: "close" }) }, icon("minimize"));
    show(close, this.bridge !== undefined);
    document.body.append(
      h("div", { class: "widget" },
        h("header", {}, h("span", { class: "brand", attrs: { "aria-hidden": "true" } }, icon("chat")), h("div", {}, h("h1", {}, this.words.title), this.status), close),
        this.banner,
        this.thread.el,
        h("div", { class: "tools" }, this.human),
        this.tray.el,
        this.composer.el),
    );
    document.addEventListener("visibilitychange", this.draw);
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.bridge?.post({ t: "close" });
    });
    addEventListener("storage", this.draw);
    this.client.start();
    void this.session.config().then((config) => {
      this.feedback = config.feedback === true;
      this.limits = config.files;
      this.composer.takeFiles(config.files !== undefined);
    });
    this.bridge?.post({ t: "ready" });
    this.render();
  }

  /** bridgeToHost trusts the origin that embeds us: the server names it in frame-ancestors, the browser in ancestorOrigins. */
  private bridgeToHost(): Bridge<ToFrame, ToHost> | undefined {
    if (window.parent === window) return undefined;
    const origin = this.params.get("host") ?? "";
    const ancestors = (location as { ancestorOrigins?: DOMStringList }).ancestorOrigins;
    if (ancestors !== undefined && ancestors[0] !== origin) return undefined;
    return new Bridge<ToFrame, ToHost>(() => window.parent, origin, (message) => this.onHost(message));
  }

  private onHost(message: ToFrame): void {
    switch (message.t) {
      case "opened":
        this.opened = true;
        if (message.focus) setTimeout(() => this.composer.focus(), 50);
        setTimeout(() => this.thread.toEnd(), 0);
        break;
      case "closed":
        this.opened = false;
        break;
      case "prefill":
        this.composer.set(message.text.slice(0, 1000));
        this.composer.focus();
        break;
    }
    this.draw();
  }

  private onFrame(frame: ServerFrame): void {
    if (frame.t === "typing" && frame.from !== "visitor") {
      clearTimeout(this.typingTimer);
      this.typing = frame.on ? { from: frame.from, name: frame.name } : undefined;
      if (frame.on) this.typingTimer = setTimeout(() => this.typingEnded(), typingForMs);
    } else if (frame.t === "queue.position") this.position = frame.position;
  }

  private onEvent(frame: EventFrame): void {
    if (frame.type === "message.composed" || frame.type === "message.replied") this.typingEnded();
  }

  /** onPhase fetches what a resumption could not bring: a conversation from another device, or one that is too long. */
  private onPhase(phase: Phase): void {
    const current = this.client.current;
    if (phase.name !== "open" || current === undefined) return;
    const { store } = this.client;
    const head = store.heads.get(current.id) ?? emptyHead(current.id);
    if (current.version > head.version) {
      store.seed({ ...head, status: current.status, created_at: current.created_at, last_activity: current.last_activity, version: current.version, ...(current.agent !== undefined && { assignee: current.agent, assignee_name: current.agent }) });
    }
    if (store.lines.has(current.id)) return;
    this.session.newest().then((messages) => {
      place(store, current.id, messages.map(entryOf), { after: 0, version: current.version });
      this.draw();
    }, () => undefined); // the next connection tries again
  }

  private typingEnded(): void {
    clearTimeout(this.typingTimer);
    this.typing = undefined;
    this.draw();
  }

  private say(text: string): boolean {
    const sent = this.client.say(text);
    if (!sent) fill(this.banner, this.words.tooMany);
    return sent;
  }

  /** sayAll sends what was written together with the files beside it. */
  private sayAll(text: string): boolean {
    const sent = this.client.say(text, "message", undefined, this.tray.attachments);
    if (sent) this.tray.clear();
    else fill(this.banner, this.words.tooMany);
    return sent;
  }

  /** refit runs before there is a composer, when the tray is made. */
  private refit(): void {
    (this.composer as Composer | undefined)?.refresh();
  }

  private tellTyping(on: boolean): void {
    const head = this.client.store.newest();
    if (head !== undefined) this.client.typing(head.id, on);
  }

  private render(): void {
    const { store, outbox, phase } = this.client;
    if (phase.name === "open") this.everOpen = true;
    const head = store.newest();
    this.thread.update(rowsOf(store, outbox.all()), this.everOpen);
    this.thread.typing(this.typing === undefined ? undefined : this.typing.from === "bot" ? this.words.bot : (this.typing.name ?? this.words.agent));
    write(this.status, this.everOpen ? statusText(head, this.position, this.words) : this.words.loading);
    this.status.className = `status ${head?.status === "open" ? (head.assignee === undefined ? "waiting" : "live") : ""}`;
    this.renderBanner();
    show(this.human, this.everOpen && head?.status !== "open" && head?.status !== "snoozed");
    this.see();
  }

  private renderBanner(): void {
    const text = bannerText(this.client.phase, this.everOpen, this.session.barred, this.words);
    show(this.banner, text !== "");
    if (this.banner.firstChild?.textContent === text) return;
    const stopped = this.client.phase.name === "stopped";
    fill(this.banner, h("span", {}, text), stopped && h("button", { attrs: { type: "button" }, onclick: () => this.client.retry() }, this.words.retry));
  }

  /** tellArrived says once per message, and at most once a second, that it has come as far as this page. */
  private tellArrived(id: string, seq: number): void {
    if ((this.arrived.get(id) ?? 0) >= seq) return;
    this.arrived.set(id, seq);
    clearTimeout(this.arrivedTimer);
    this.arrivedTimer = setTimeout(() => {
      for (const [conversation, upTo] of this.arrived) {
        if ((this.client.store.lines.get(conversation)?.readVisitor ?? upTo) < upTo) this.client.delivered(conversation, upTo);
      }
    }, 1000);
  }

  /** see tells the server what was looked at, and the page outside what was not. */
  private see(): void {
    const looking = this.opened && document.visibilityState === "visible" && this.thread.atEnd();
    let unread = 0;
    let preview = "";
    for (const [id, line] of this.client.store.lines) {
      const n = unreadOf({ ...line, readVisitor: Math.max(line.readVisitor, this.readTo.get(id) ?? 0) }, "visitor");
      if (n === 0) continue;
      const newest = line.items.findLast((i) => i.kind === "message");
      if (looking && newest !== undefined) {
        this.readTo.set(id, newest.seq);
        this.client.read(id, newest.seq);
      } else {
        this.tellArrived(id, newest?.seq ?? 0);
        unread += n;
        if (newest?.kind === "message") preview = plain(newest).slice(0, previewChars);
      }
    }
    this.bridge?.post({ t: "unread", n: unread, preview });
  }
}

try {
  new WidgetFrame().run();
} catch (err) {
  document.body.append(h("p", { class: "fatal", attrs: { role: "alert" } }, err instanceof Refused ? err.message : String(err)));
}
