import type { Book } from "./book.ts";
import { newClientId } from "./clientid.ts";
import { protocolVersion } from "../wire.gen.ts";
import type { Attachment, ClientFrame, EventFrame, Trouble, ServerFrame, VisitorConversation } from "./frames.ts";
import type { Phase } from "./link.ts";
import { newLink } from "./link.ts";
import type { Outbox, Shelf, Unsent } from "./outbox.ts";
import { newOutbox } from "./outbox.ts";
import type { Runtime } from "./runtime.ts";

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

export interface ClientOptions<B extends Book> {
  url: string;
  /** See {@link LinkOptions.streamBase}. */
  streamBase?: string;
  store: B;
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
export interface Client<B extends Book> {
  readonly store: B;
  readonly outbox: Outbox;
  /** phase is how the connection stands. */
  phase: Phase;
  /** current is the conversation a visitor is in, as the last welcome told. */
  current: VisitorConversation | undefined;
  /** start connects. */
  start(): void;
  /** stop says goodbye; what is unsent stays in the outbox. */
  stop(): void;
  /** retry ends a wait early, or comes back after a final close. */
  retry(): void;
  /** say writes a message or note; false when the outbox is full. Files of a message were handed in before. */
  say(text: string, kind?: Unsent["kind"], conversationId?: string, attachments?: readonly Attachment[]): boolean;
  /** sayAgain sends a refused message once more. */
  sayAgain(clientId: string): void;
  /** discard gives a refused message up. */
  discard(clientId: string): void;
  /** read says that everything up to seq was seen. */
  read(conversationId: string, seq: number): void;
  /** delivered says that everything up to seq has arrived. */
  delivered(conversationId: string, seq: number): void;
  /** typing tells that the person writes; at most every three seconds per conversation. */
  typing(conversationId: string, on: boolean): void;
  /** send writes any other frame; false when there is no connection. */
  send(frame: ClientFrame): boolean;
}

/** newClient makes a client, which does nothing before start. */
export function newClient<B extends Book>(options: ClientOptions<B>): Client<B> {
  const { credentials, follow, listener, placeKey, runtime, shelf, store } = options;
  const outbox = newOutbox(shelf, options.outboxKey);
  const lastTyping = new Map<string, number>();
  let cancelAck: () => void = () => undefined;
  const { start, stop, retry, send } = newLink({ ...options, hello, renew: () => credentials.renew(), onFrame, onPhase });
  const client: Client<B> = {
    store,
    outbox,
    phase: { name: "connecting" },
    current: undefined,
    start,
    stop() {
      cancelAck();
      stop();
    },
    retry,
    send,
    say(text, kind = "message", conversationId, attachments) {
      const now = runtime.now();
      const entry: Unsent = { client_id: newClientId(now), kind, text, at: new Date(now).toISOString() };
      if (conversationId !== undefined) entry.conversation_id = conversationId;
      if (attachments?.length) entry.attachments = attachments;
      if (!outbox.add(entry)) return false;
      flush();
      listener.onChange();
      return true;
    },
    sayAgain(clientId) {
      outbox.refuse(clientId);
      flush();
      listener.onChange();
    },
    discard(clientId) {
      outbox.settle(clientId);
      flush();
      listener.onChange();
    },
    read: (conversation_id, seq) => void send({ t: "read", conversation_id, seq }),
    delivered: (conversation_id, seq) => void send({ t: "delivered", conversation_id, seq }),
    typing(conversation_id, on) {
      const now = runtime.now();
      const last = lastTyping.get(conversation_id);
      if (on ? last !== undefined && now - last < typingEveryMs : last === undefined) return;
      if (on) lastTyping.set(conversation_id, now);
      else lastTyping.delete(conversation_id);
      send({ t: "typing", conversation_id, on });
    },
  };
  return client;

  async function hello(): Promise<ClientFrame> {
    const token = await credentials.token();
    let resume = { epoch: store.epoch, cursors: store.cursors() };
    // A page that was loaded anew asks for everything from the start of the conversation it remembers.
    const place = placeKey === undefined ? null : shelf.getItem(placeKey);
    if (place !== null && Object.keys(resume.cursors).length === 0) resume = { epoch: "", cursors: { [place]: 0 } };
    return { t: "hello", v: protocolVersion, token, resume } as ClientFrame; // what is undefined is not sent
  }

  function remember(conversation: string): void {
    if (placeKey === undefined || shelf.getItem(placeKey) === conversation) return;
    try {
      shelf.setItem(placeKey, conversation);
    } catch {
      // Without storage the messages are fetched after a reload, only the marks between them are not.
    }
  }

  function onPhase(phase: Phase): void {
    const was = client.phase.name;
    client.phase = phase;
    if (phase.name === "open") flush();
    else if (was === "open") {
      cancelAck();
      outbox.release();
    }
    listener.onPhase?.(phase);
    listener.onChange();
  }

  function onFrame(frame: ServerFrame): void {
    switch (frame.t) {
      case "welcome":
        store.epoch = frame.epoch;
        client.current = frame.conversation;
        break;
      case "reset":
        store.forget(frame.conversation_id);
        if (placeKey !== undefined) shelf.removeItem(placeKey);
        listener.onReset?.(frame.conversation_id);
        break;
      case "event":
        if (frame.type === "conversation.erased" || (frame.type === "conversation.updated" && frame.data.erased === true)) {
          onErased(frame.conversation_id);
          break;
        }
        if (frame.type === "conversation.updated") {
          store.seed(frame.data);
          break;
        }
        onEvent(frame);
        return;
      case "ack":
        cancelAck();
        outbox.settle(frame.client_id);
        flush();
        break;
      case "error":
        if (frame.ref !== "") onError(frame.ref, frame.problem);
        break;
      default:
    }
    listener.onFrame?.(frame);
    listener.onChange();
  }

  function onErased(id: string): void {
    store.erase(id);
    if (client.current?.id === id) client.current = undefined;
    if (placeKey !== undefined) shelf.removeItem(placeKey);
    listener.onReset?.(id);
  }

  function onEvent(frame: EventFrame): void {
    const result = store.fold(frame, follow);
    remember(frame.conversation_id);
    if (result === "gap") listener.onGap?.(frame.conversation_id);
    if (result !== "new") return;
    if ("client_id" in frame.data && outbox.settle(frame.data.client_id)) flush();
    listener.onEvent?.(frame);
    listener.onChange();
  }

  function onError(clientId: string, problem: Trouble): void {
    const entry = outbox.all().find((e) => e.client_id === clientId);
    if (entry === undefined) return;
    cancelAck();
    if (passing(problem)) {
      cancelAck = runtime.after(problem.retry_after_ms ?? 1000 + runtime.random() * 2000, repeat);
      return;
    }
    outbox.refuse(clientId, problem.code ?? "internal");
    listener.onRefused?.(entry, problem);
    flush();
  }

  function repeat(): void {
    outbox.release();
    flush();
  }

  function flush(): void {
    if (client.phase.name !== "open") return;
    const entry = outbox.take();
    if (entry === undefined) return;
    cancelAck();
    cancelAck = runtime.after(ackMs, repeat);
    send(frameOf(entry));
  }
}

function frameOf(entry: Unsent): ClientFrame {
  const { client_id, conversation_id, kind, text, attachments } = entry;
  return { t: kind === "note" ? "note.add" : "message.send", client_id, conversation_id, text, attachments: attachments?.map((a) => a.id) } as ClientFrame; // what is undefined is not sent
}

/** passing reports whether the same message may be taken later. */
function passing(problem: Trouble): boolean {
  const status = problem.status ?? 500;
  return problem.retry === true || status === 429 || status >= 500;
}
