import { newClientId } from "./clientid.ts";
import { protocolVersion } from "../wire.gen.ts";
import type { ClientFrame, EventFrame, Presence, Trouble, ServerFrame, VisitorConversation } from "./frames.ts";
import { Link } from "./link.ts";
import type { Phase } from "./link.ts";
import { Outbox } from "./outbox.ts";
import type { Shelf, Unsent } from "./outbox.ts";
import type { Runtime } from "./runtime.ts";
import { Store } from "./store.ts";

const ackMs = 15_000; // after which a send is repeated with the same id
const typingEveryMs = 3_000;

/** Credentials supplies the token of the first frame; a cookie session has none. */
export interface Credentials {
  token: () => Promise<string | undefined>;
  renew: () => Promise<void>;
}

/** Listener hears of what a client learned. Events come one by one; everything else as a nudge to look again. */
export interface Listener {
  onChange(): void;
  onPhase?(phase: Phase): void;
  onEvent?(frame: EventFrame): void;
  onGap?(conversationId: string): void;
  onFrame?(frame: ServerFrame): void;
  /** The server could not resume: what is known must be fetched anew. */
  onReset?(conversationId: string | undefined): void;
  onRefused?(entry: Unsent, problem: Trouble): void;
}

export interface ClientOptions {
  url: string;
  runtime: Runtime;
  shelf: Shelf;
  outboxKey: string;
  credentials: Credentials;
  /** Visitors follow all that is theirs; agents what they opened. */
  follow: "all" | "opened";
  /** Where it is kept which conversation a visitor is in; agents have no such place. */
  placeKey?: string;
  listener: Listener;
}

/** Client is one party's standing connection: link, store and outbox joined. */
export class Client {
  readonly store = new Store();
  readonly outbox: Outbox;
  phase: Phase = { name: "connecting" };
  /** current is the conversation a visitor is in, as the last welcome told. */
  current: VisitorConversation | undefined;

  private readonly link: Link;
  private readonly runtime: Runtime;
  private cancelAck: () => void = () => undefined;
  private place = "";
  private readonly lastTyping = new Map<string, number>();

  constructor(private readonly options: ClientOptions) {
    this.runtime = options.runtime;
    this.outbox = new Outbox(options.shelf, options.outboxKey);
    this.link = new Link({
      url: options.url,
      protocols: ["colloquy.v1"],
      runtime: options.runtime,
      hello: () => this.hello(),
      renew: () => options.credentials.renew(),
      onFrame: (frame) => this.onFrame(frame),
      onPhase: (phase) => this.onPhase(phase),
    });
  }

  /** start connects. */
  start(): void {
    this.link.start();
  }

  /** stop says goodbye; what is unsent stays in the outbox. */
  stop(): void {
    this.cancelAck();
    this.link.stop();
  }

  /** retry tries to connect now. */
  retry(): void {
    this.link.retry();
  }

  /** say writes a message or note; false when the outbox is full. */
  say(text: string, kind: Unsent["kind"] = "message", conversationId?: string): boolean {
    const now = this.runtime.now();
    const entry: Unsent = { client_id: newClientId(now), kind, text, at: new Date(now).toISOString() };
    if (conversationId !== undefined) entry.conversation_id = conversationId;
    if (!this.outbox.add(entry)) return false;
    this.flush();
    this.options.listener.onChange();
    return true;
  }

  /** sayAgain sends a refused message once more. */
  sayAgain(clientId: string): void {
    this.outbox.again(clientId);
    this.flush();
    this.options.listener.onChange();
  }

  /** discard gives a refused message up. */
  discard(clientId: string): void {
    this.outbox.settle(clientId);
    this.flush();
    this.options.listener.onChange();
  }

  /** read says that everything up to seq was seen. */
  read(conversationId: string, seq: number): void {
    this.link.send({ t: "read", conversation_id: conversationId, seq });
  }

  /** delivered says that everything up to seq has arrived. */
  delivered(conversationId: string, seq: number): void {
    this.link.send({ t: "delivered", conversation_id: conversationId, seq });
  }

  /** typing tells that the person writes; at most every three seconds per conversation. */
  typing(conversationId: string, on: boolean): void {
    const now = this.runtime.now();
    const last = this.lastTyping.get(conversationId);
    if (on ? last !== undefined && now - last < typingEveryMs : last === undefined) return;
    if (on) this.lastTyping.set(conversationId, now);
    else this.lastTyping.delete(conversationId);
    this.link.send({ t: "typing", conversation_id: conversationId, on });
  }

  /** present sets an agent's presence. */
  present(state: Presence): boolean {
    return this.link.send({ t: "presence", state });
  }

  /** send writes any other frame; false when there is no connection. */
  send(frame: ClientFrame): boolean {
    return this.link.send(frame);
  }

  private async hello(): Promise<ClientFrame> {
    const token = await this.options.credentials.token();
    const frame: ClientFrame = { t: "hello", v: protocolVersion };
    if (token !== undefined) frame.token = token;
    frame.resume = { epoch: this.store.epoch, cursors: this.store.cursors() };
    // A page that was loaded anew asks for everything from the start of the conversation it remembers.
    const place = this.options.placeKey === undefined ? null : this.options.shelf.getItem(this.options.placeKey);
    if (place !== null && this.store.lines.size === 0) frame.resume = { epoch: "", cursors: { [place]: 0 } };
    return frame;
  }

  private remember(conversation: string): void {
    if (this.options.placeKey === undefined || this.place === conversation) return;
    this.place = conversation;
    try {
      this.options.shelf.setItem(this.options.placeKey, conversation);
    } catch {
      // Without storage the messages are fetched after a reload, only the marks between them are not.
    }
  }

  private onPhase(phase: Phase): void {
    const was = this.phase.name;
    this.phase = phase;
    if (phase.name === "open") this.flush();
    else if (was === "open") {
      this.cancelAck();
      this.outbox.release();
    }
    this.options.listener.onPhase?.(phase);
    this.options.listener.onChange();
  }

  private onFrame(frame: ServerFrame): void {
    switch (frame.t) {
      case "welcome":
        this.store.epoch = frame.epoch;
        this.current = frame.conversation;
        break;
      case "reset":
        if (frame.conversation_id === undefined) this.store.clear();
        else this.store.lines.delete(frame.conversation_id);
        if (this.options.placeKey !== undefined) this.options.shelf.removeItem(this.options.placeKey);
        this.place = "";
        this.options.listener.onReset?.(frame.conversation_id);
        break;
      case "event":
        if (frame.type === "conversation.updated") {
          this.store.seed(frame.data);
          break;
        }
        this.onEvent(frame);
        return;
      case "ack":
        this.onAck(frame.client_id);
        break;
      case "error":
        if (frame.ref !== "") this.onError(frame.ref, frame.problem);
        break;
      default:
    }
    this.options.listener.onFrame?.(frame);
    this.options.listener.onChange();
  }

  private onEvent(frame: EventFrame): void {
    const result = this.store.fold(frame, this.options.follow);
    this.remember(frame.conversation_id);
    if (result === "gap") {
      this.options.listener.onGap?.(frame.conversation_id);
      return;
    }
    if (result === "known") return;
    if ("client_id" in frame.data && this.outbox.settle(frame.data.client_id)) this.flush();
    this.options.listener.onEvent?.(frame);
    this.options.listener.onChange();
  }

  private onAck(clientId: string): void {
    this.cancelAck();
    this.outbox.settle(clientId);
    this.flush();
  }

  private onError(clientId: string, problem: Trouble): void {
    const entry = this.outbox.all().find((e) => e.client_id === clientId);
    if (entry === undefined) return;
    this.cancelAck();
    if (passing(problem)) {
      const pause = problem.retry_after_ms ?? 1000 + this.runtime.random() * 2000;
      this.cancelAck = this.runtime.after(pause, () => this.repeat());
      return;
    }
    this.outbox.refuse(clientId, problem.code ?? "internal");
    this.options.listener.onRefused?.(entry, problem);
    this.flush();
  }

  private repeat(): void {
    this.outbox.release();
    this.flush();
  }

  private flush(): void {
    if (this.phase.name !== "open") return;
    const entry = this.outbox.take();
    if (entry === undefined) return;
    this.cancelAck();
    this.cancelAck = this.runtime.after(ackMs, () => this.repeat());
    this.link.send(frameOf(entry));
  }
}

function frameOf(entry: Unsent): ClientFrame {
  if (entry.kind === "note") {
    return { t: "note.add", client_id: entry.client_id, conversation_id: entry.conversation_id ?? "", text: entry.text };
  }
  const frame: ClientFrame = { t: "message.send", client_id: entry.client_id, text: entry.text };
  if (entry.conversation_id !== undefined) frame.conversation_id = entry.conversation_id;
  return frame;
}

/** passing reports whether the same message may be taken later. */
function passing(problem: Trouble): boolean {
  const status = problem.status ?? 500;
  return problem.retry === true || status === 429 || status >= 500;
}
