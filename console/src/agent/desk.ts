import type { Client } from "../sdk/client.ts";
import { newClient } from "../sdk/client.ts";
import type { Presence, Priority, Trouble, ServerFrame } from "../sdk/frames.ts";
import { place, prepend } from "../sdk/history.ts";
import type { Phase } from "../sdk/link.ts";
import { browserShelf } from "../sdk/outbox.ts";
import { browserRuntime } from "../sdk/runtime.ts";
import { Store } from "../sdk/store.ts";
import { Refused } from "../sdk/session.ts";
import { once } from "../ui/schedule.ts";
import type { Api, Inbox, Me } from "./api.ts";
import { problemText, refusalText } from "./directory.ts";
import type { Speech } from "./say.ts";
import type { Deed } from "./talk.ts";

const typingForMs = 6000;
const pageEntries = 200;

export interface DeskOptions {
  api: Api;
  me: Me;
  inboxes: Inbox[];
  speech: Speech;
  onChange: () => void;
  onReady: () => void;
  tell: (text: string, tone: "ok" | "bad") => void;
}

/** Desk is what an agent works with: the connection, the open conversation and the commands. It draws nothing. */
export class Desk {
  readonly client: Client<Store>;
  selected: string | undefined;
  presence: Presence;
  everOpen = false;
  private readonly typings = new Map<string, { name: string; cancel: () => void }>();
  private readonly loading = new Set<string>();
  private readonly draw: () => void;
  private dials = 0;

  constructor(private readonly options: DeskOptions) {
    this.draw = once(() => options.onChange());
    this.presence = options.me.presence === "away" ? "away" : "online";
    this.client = newClient({
      store: new Store(),
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`,
      runtime: browserRuntime,
      shelf: browserShelf(),
      outboxKey: `colloquy.outbox.agent.${options.me.id}`,
      credentials: { token: () => this.checkSession(), renew: () => this.checkSession().then(() => undefined) },
      follow: "opened",
      listener: {
        onChange: this.draw,
        onFrame: (frame) => this.onFrame(frame),
        onPhase: (phase) => this.onPhase(phase),
        onEvent: (frame) => frame.type === "message.accepted" && this.stopTyping(frame.conversation_id),
        onGap: (id) => this.follow(id),
        onReset: (id) => id !== undefined && void this.reload(id),
        onRefused: (entry, problem) => this.tellRefused(entry.conversation_id, problem),
      },
    });
  }

  /** typingIn names who writes in a conversation. */
  typingIn(id: string): string | undefined {
    return this.typings.get(id)?.name;
  }

  /** select opens a conversation and follows it. */
  select(id: string | undefined): void {
    if (this.selected !== undefined && this.selected !== id) {
      this.client.send({ t: "unsubscribe", conversation_id: this.selected });
      this.client.store.lines.delete(this.selected);
    }
    this.selected = id;
    if (id !== undefined && !this.client.store.lines.has(id)) {
      this.client.store.open(id);
      this.follow(id);
    }
    this.draw();
  }

  /** deed carries out a command on the open conversation; false when it was refused. */
  async deed(deed: Deed): Promise<boolean> {
    const id = this.selected;
    if (id === undefined) return false;
    const { api, speech, tell, me } = this.options;
    const { words } = speech;
    try {
      switch (deed.do) {
        case "claim":
        case "reopen":
        case "wake":
          await api.act(id, deed.do);
          break;
        case "release":
          await api.act(id, "unassign");
          tell(words.releasedToast, "ok");
          break;
        case "resolve":
          await api.act(id, "resolve");
          tell(words.resolvedToast, "ok");
          break;
        case "to_bot":
          await api.act(id, "return_to_bot");
          tell(words.botToast, "ok");
          break;
        case "assign":
          await api.act(id, "assign", { to: deed.to });
          if (deed.to !== me.id) tell(words.assignedToast.replace("{name}", speech.nameOf(deed.to)), "ok");
          break;
        case "snooze":
          await api.act(id, "snooze", { until: deed.until.toISOString() });
          tell(words.snoozedToast, "ok");
          break;
      }
      return true;
    } catch (err) {
      await this.explain(id, err);
      return false;
    }
  }

  /** draft has a reply to the open conversation drafted; undefined when there is none, and the reason has been told. */
  async draft(): Promise<string | undefined> {
    const id = this.selected;
    if (id === undefined) return undefined;
    try {
      return await this.options.api.draft(id);
    } catch (err) {
      const { words } = this.options.speech;
      const many = err instanceof Refused && err.status === 429;
      const hint = err instanceof Refused ? (err.problem.hint ?? "") : "";
      this.options.tell(many ? words.draftMany : hint === "" ? words.draftFailed : `${words.draftFailed} (${hint})`, "bad");
      return undefined;
    }
  }

  /** judge stores a verdict on a message of the bot. */
  async judge(id: string, seq: number, verdict: "right" | "wrong", intent: string): Promise<void> {
    try {
      await this.options.api.judge(id, seq, verdict, intent);
      this.options.tell(this.options.speech.words.judgedToast, "ok");
    } catch (err) {
      await this.explain(id, err);
    }
  }

  /** earlier fetches what is before the first entry of the open conversation. */
  async earlier(): Promise<void> {
    const id = this.selected;
    const line = id === undefined ? undefined : this.client.store.lines.get(id);
    if (id === undefined || line === undefined || line.from === 0 || this.loading.has(id)) return;
    this.loading.add(id);
    const after = Math.max(0, line.from - pageEntries);
    try {
      prepend(line, (await this.options.api.events(id, after, pageEntries)).data, after);
    } catch (err) {
      await this.explain(id, err);
    } finally {
      this.loading.delete(id);
      this.draw();
    }
  }

  /** prioritize sets the priority of the open conversation. */
  prioritize(p: Priority): void {
    const id = this.selected;
    if (id !== undefined) this.options.api.prioritize(id, p).catch((err: unknown) => this.explain(id, err));
  }

  /** tag adds and removes tags of the open conversation. */
  tag(add: string[], remove: string[]): void {
    const id = this.selected;
    if (id === undefined) return;
    const tags = (this.client.store.heads.get(id)?.tags ?? []).filter((t) => !remove.includes(t) && !add.includes(t));
    this.options.api.tag(id, [...tags, ...add]).catch((err: unknown) => this.explain(id, err));
  }

  /** present says whether the agent takes conversations. */
  present(p: Presence): void {
    this.presence = p;
    this.client.send({ t: "presence", state: p });
    this.draw();
  }

  /** explain shows why a command failed. The head is read anew first, because it names who was quicker. */
  private async explain(id: string, err: unknown): Promise<void> {
    let winner: string | undefined;
    if (err instanceof Refused && err.status === 409) {
      try {
        const head = await this.options.api.conversation(id);
        this.client.store.seed(head);
        winner = head.assignee === this.options.me.id ? undefined : head.assignee_name;
      } catch {
        // The text then goes without the name.
      }
    }
    this.options.tell(refusalText(err, this.options.speech, winner), "bad");
    this.draw();
  }

  private tellRefused(id: string | undefined, problem: Trouble): void {
    const winner = id === undefined ? undefined : this.client.store.heads.get(id)?.assignee_name;
    this.options.tell(problemText(problem, this.options.speech, winner) || (problem.detail ?? problem.title ?? ""), "bad");
  }

  /** checkSession finds out before every further dial whether the cookie is still good; the socket itself could only say "closed". */
  private async checkSession(): Promise<undefined> {
    if (this.dials++ > 0) await this.options.api.profile();
    return undefined;
  }

  private follow(id: string): void {
    this.client.send({ t: "subscribe", conversation_id: id, after: this.client.store.open(id).version });
  }

  private async reload(id: string): Promise<void> {
    if (this.loading.has(id) || id !== this.selected) return;
    this.loading.add(id);
    try {
      const head = await this.options.api.conversation(id);
      const after = Math.max(0, head.version - pageEntries);
      const page = await this.options.api.events(id, after, pageEntries);
      this.client.store.seed(head);
      const line = place(this.client.store, id, page.data, { after, version: page.data.at(-1)?.seq ?? after });
      line.readVisitor = Math.max(line.readVisitor, head.read_visitor ?? 0);
      line.readAgent = Math.max(line.readAgent, head.read_agent ?? 0);
      this.follow(id);
    } catch (err) {
      if (err instanceof Refused && err.status === 404) this.lose(id);
      else this.client.store.open(id);
    } finally {
      this.loading.delete(id);
      this.draw();
    }
  }

  /** lose leaves a conversation that is gone on the server. */
  private lose(id: string): void {
    this.client.store.erase(id);
    if (this.selected !== id) return;
    this.selected = undefined;
    this.options.tell(this.options.speech.words.erasedToast, "ok");
  }

  private onPhase(phase: Phase): void {
    if (phase.name !== "open") return;
    this.everOpen = true;
    for (const inbox of this.options.inboxes) this.client.send({ t: "subscribe", inbox: inbox.id });
    if (this.presence !== "online") this.client.send({ t: "presence", state: this.presence });
    const id = this.selected;
    if (id !== undefined && (this.client.store.lines.get(id)?.version ?? 0) === 0) {
      this.client.store.open(id);
      this.follow(id);
    }
    this.options.onReady();
  }

  private onFrame(frame: ServerFrame): void {
    if (frame.t === "presence" && frame.agent === this.options.me.id && frame.state !== "offline") this.presence = frame.state;
    if (frame.t !== "typing") return;
    this.stopTyping(frame.conversation_id);
    if (!frame.on) return;
    const name = frame.from === "visitor" ? this.options.speech.words.visitor : (frame.name ?? this.options.speech.words.agent);
    const cancel = browserRuntime.after(typingForMs, () => {
      this.stopTyping(frame.conversation_id);
      this.draw();
    });
    this.typings.set(frame.conversation_id, { name, cancel });
  }

  private stopTyping(id: string): void {
    this.typings.get(id)?.cancel();
    this.typings.delete(id);
  }
}
