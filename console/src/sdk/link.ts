import { newBackoff } from "./backoff.ts";
import { afterClose, closeNoPong, closeNormal } from "./closecode.ts";
import type { Runtime, Socket } from "./runtime.ts";
import { decodeFrame } from "./decode.ts";
import type { ClientFrame, ServerFrame } from "./frames.ts";

const dialMs = 10_000; // for the upgrade and the welcome, each
const pongMs = 10_000; // for any frame after a ping
const probeMs = 4_000; // the same when the page has just come back into view
const stableMs = 10_000; // a connection that lasted so long has earned a fresh back-off
const defaultHeartbeatMs = 25_000;
const barrenDials = 2; // WebSockets in a row without a welcome, after which a stream is tried

/** Phase is how far a link has come. */
export type Phase =
  | { name: "connecting" }
  | { name: "resuming" }
  | { name: "open" }
  | { name: "waiting"; until: number }
  | { name: "offline" }
  | { name: "stopped"; code: number };

export interface LinkOptions {
  url: string;
  /** streamBase is where events can be streamed from when no WebSocket comes through; without it none is tried. */
  streamBase?: string | undefined;
  runtime: Runtime;
  /** hello makes the first frame; it may have to fetch a credential for it. */
  hello: () => Promise<ClientFrame>;
  /** renew is asked for another credential when the server refused or expired the present one. */
  renew: () => Promise<void>;
  onFrame: (frame: ServerFrame) => void;
  onPhase: (phase: Phase) => void;
}

/** Link is a standing conversation with the server, over as many sockets as it takes. */
export interface Link {
  /** start connects, and keeps connecting until stop or a final close code. */
  start: () => void;
  /** stop closes the socket and stays away. */
  stop: () => void;
  /** send writes a frame; false when there is no open connection. */
  send: (frame: ClientFrame) => boolean;
  /** retry ends a wait early, or comes back after a final close by the person's wish. */
  retry: () => void;
}

/**
 * newLink makes a link. It owns the socket, the back-off and the watch over
 * silence; it knows nothing about what the frames mean beyond the handshake and
 * pings. It is a closure and no class because its names are short then: the SDK
 * has a budget of bytes.
 */
export function newLink(options: LinkOptions): Link {
  const { runtime } = options;
  const backoff = newBackoff(runtime.random);
  let socket: Socket | undefined;
  let phase: Phase = { name: "stopped", code: closeNormal };
  let cancelTimer: () => void = () => undefined; // retry or handshake
  let cancelWatch = cancelTimer; // silence
  let unwatch = cancelTimer;
  let heartbeatMs = defaultHeartbeatMs;
  let openedAt = 0;
  let renewed = false;
  let generation = 0;
  let barren = 0; // attempts in a row that brought no welcome
  let streaming = false;

  return { start, stop, send, retry };

  function start(): void {
    if (phase.name !== "stopped") return;
    unwatch = runtime.watch(onSurroundings);
    dial();
  }

  function stop(): void {
    unwatch();
    drop(closeNormal);
    enter({ name: "stopped", code: closeNormal });
  }

  function send(frame: ClientFrame): boolean {
    if (phase.name !== "open" || socket === undefined) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  function retry(): void {
    if (phase.name === "waiting" || phase.name === "offline") dial();
    else if (phase.name === "stopped") {
      renewed = false;
      start();
    }
  }

  function dial(): void {
    drop(closeNormal);
    enter({ name: "connecting" });
    options.hello().then(unlessOld(dialWith), unlessOld(backOff));
  }

  /** unlessOld keeps what was begun for one socket from meddling with the next. */
  function unlessOld<T>(run: (value: T) => void): (value: T) => void {
    const mine = generation;
    return (value) => {
      if (mine === generation) run(value);
    };
  }

  function dialWith(hello: ClientFrame): void {
    const { url, streamBase } = options;
    // Two WebSockets, one stream, and so on: a server that is down cannot be told from a network that blocks.
    streaming = streamBase !== undefined && barren % (barrenDials + 1) === barrenDials;
    barren++;
    const s = (socket = streaming && streamBase !== undefined ? runtime.stream(streamBase) : runtime.dial(url, ["colloquy.v1"]));
    deadline();
    s.onopen = () => {
      s.send(JSON.stringify(hello));
      deadline();
    };
    s.onmessage = (event) => onMessage(event.data);
    s.onclose = (event) => onClose(event.code);
  }

  function onMessage(data: unknown): void {
    listen();
    const frame = decodeFrame(data);
    if (frame === undefined) return; // a newer server's frame
    switch (frame.t) {
      case "welcome":
        barren = streaming ? barrenDials : 0; // what worked comes first the next time
        heartbeatMs = frame.heartbeat_ms > 0 ? frame.heartbeat_ms : defaultHeartbeatMs;
        enter({ name: "resuming" });
        break;
      case "resumed":
        cancelTimer();
        openedAt = runtime.now();
        listen();
        options.onFrame(frame); // the store is up to date before anything is sent
        enter({ name: "open" });
        return;
      case "reconnect":
        options.onFrame(frame);
        drop(closeNormal);
        wait(frame.after_ms + runtime.random() * 500);
        return;
      default:
    }
    options.onFrame(frame);
  }

  function onClose(code: number): void {
    drop(undefined);
    if (openedAt > 0 && runtime.now() - openedAt >= stableMs) {
      backoff.reset();
      renewed = false;
    }
    openedAt = 0;
    const then = afterClose(code);
    if (then === "stop" || (then === "renew" && renewed)) {
      unwatch();
      enter({ name: "stopped", code });
      return;
    }
    if (then === "renew") {
      renewed = true;
      enter({ name: "connecting" });
      const on = unlessOld(backOff);
      options.renew().then(on, on);
      return;
    }
    backOff();
  }

  function backOff(): void {
    wait(backoff.next());
  }

  function wait(ms: number): void {
    cancelTimer();
    if (!runtime.online()) {
      enter({ name: "offline" });
      return;
    }
    enter({ name: "waiting", until: runtime.now() + ms });
    cancelTimer = runtime.after(ms, dial);
  }

  /** listen starts the watch over silence anew: a ping after the heartbeat, the end after another pause. */
  function listen(): void {
    cancelWatch();
    if (openedAt === 0) return; // the handshake has a deadline of its own
    cancelWatch = runtime.after(heartbeatMs, () => ping(pongMs));
  }

  function ping(patienceMs: number): void {
    if (!send({ t: "ping" })) return;
    cancelWatch();
    cancelWatch = runtime.after(patienceMs, lost);
  }

  function deadline(): void {
    cancelTimer();
    cancelTimer = runtime.after(dialMs, lost);
  }

  /** lost gives the socket up without waiting for a closing handshake, which a dead peer never answers. */
  function lost(): void {
    drop(closeNoPong);
    openedAt = 0;
    backOff();
  }

  function drop(code: number | undefined): void {
    cancelTimer();
    cancelWatch();
    generation++;
    const s = socket;
    socket = undefined;
    if (s === undefined) return;
    s.onopen = s.onmessage = s.onclose = null;
    if (code !== undefined) s.close(code);
  }

  function onSurroundings(what: "online" | "offline" | "visible"): void {
    const name = phase.name;
    if (what === "offline") {
      if (name === "waiting") wait(0);
      else if (name === "open") ping(probeMs);
      return;
    }
    if (name === "open") ping(probeMs);
    else if (name === "offline" || (name === "waiting" && what === "online")) dial();
    else if (name === "waiting") wait(Math.min(backoff.next(), 1000));
  }

  function enter(next: Phase): void {
    phase = next;
    options.onPhase(next);
  }
}
