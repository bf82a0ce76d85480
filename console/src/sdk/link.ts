import { Backoff } from "./backoff.ts";
import { afterClose, closeNoPong, closeNormal } from "./closecode.ts";
import type { Runtime, Socket } from "./runtime.ts";
import { decodeFrame } from "./decode.ts";
import type { ClientFrame, ServerFrame } from "./frames.ts";

const dialMs = 10_000; // for the upgrade and the welcome, each
const pongMs = 10_000; // for any frame after a ping
const probeMs = 4_000; // the same when the page has just come back into view
const stableMs = 10_000; // a connection that lasted so long has earned a fresh back-off
const defaultHeartbeatMs = 25_000;

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
  protocols: string[];
  runtime: Runtime;
  /** hello makes the first frame; it may have to fetch a credential for it. */
  hello: () => Promise<ClientFrame>;
  /** renew is asked for another credential when the server refused or expired the present one. */
  renew: () => Promise<void>;
  onFrame: (frame: ServerFrame) => void;
  onPhase: (phase: Phase) => void;
}

/**
 * Link keeps one conversation with the server alive over as many sockets as it
 * takes. It owns the socket, the back-off and the watch over silence; it knows
 * nothing about what the frames mean beyond the handshake and pings.
 */
export class Link {
  private socket: Socket | undefined;
  private phase: Phase = { name: "stopped", code: closeNormal };
  private readonly backoff: Backoff;
  private cancelTimer: () => void = () => undefined; // retry or handshake
  private cancelWatch: () => void = () => undefined; // silence
  private unwatch: () => void = () => undefined;
  private heartbeatMs = defaultHeartbeatMs;
  private openedAt = 0;
  private renewed = false;
  private generation = 0;

  constructor(private readonly options: LinkOptions) {
    this.backoff = new Backoff(options.runtime.random);
  }

  /** start connects, and keeps connecting until stop or a final close code. */
  start(): void {
    if (this.phase.name !== "stopped") return;
    this.unwatch = this.options.runtime.watch((what) => this.onSurroundings(what));
    this.dial();
  }

  /** stop closes the socket and stays away. */
  stop(): void {
    this.unwatch();
    this.drop(closeNormal);
    this.enter({ name: "stopped", code: closeNormal });
  }

  /** send writes a frame; false when there is no open connection. */
  send(frame: ClientFrame): boolean {
    if (this.phase.name !== "open" || this.socket === undefined) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  /** retry ends a wait early, or comes back after a final close by the person's wish. */
  retry(): void {
    if (this.phase.name === "waiting" || this.phase.name === "offline") this.dial();
    else if (this.phase.name === "stopped") {
      this.renewed = false;
      this.start();
    }
  }

  private dial(): void {
    this.drop(closeNormal);
    this.enter({ name: "connecting" });
    const generation = ++this.generation;
    this.options.hello().then(
      (hello) => {
        if (generation === this.generation) this.dialWith(hello);
      },
      () => {
        if (generation === this.generation) this.wait(this.backoff.next());
      },
    );
  }

  private dialWith(hello: ClientFrame): void {
    const socket = this.options.runtime.dial(this.options.url, this.options.protocols);
    this.socket = socket;
    this.deadline(dialMs);
    socket.onopen = () => {
      socket.send(JSON.stringify(hello));
      this.deadline(dialMs);
    };
    socket.onmessage = (event) => this.onMessage(event.data);
    socket.onclose = (event) => this.onClose(event.code);
    socket.onerror = null; // a close follows, which says more
  }

  private onMessage(data: unknown): void {
    this.listen();
    const frame = typeof data === "string" ? decodeFrame(data) : undefined;
    if (frame === undefined) return; // a newer server's frame
    switch (frame.t) {
      case "welcome":
        this.heartbeatMs = frame.heartbeat_ms > 0 ? frame.heartbeat_ms : defaultHeartbeatMs;
        this.enter({ name: "resuming" });
        break;
      case "resumed":
        this.cancelTimer();
        this.openedAt = this.options.runtime.now();
        this.listen();
        this.options.onFrame(frame); // the store is up to date before anything is sent
        this.enter({ name: "open" });
        return;
      case "reconnect":
        this.options.onFrame(frame);
        this.drop(closeNormal);
        this.wait(frame.after_ms + this.options.runtime.random() * 500);
        return;
      default:
    }
    this.options.onFrame(frame);
  }

  private onClose(code: number): void {
    this.drop(undefined);
    if (this.openedAt > 0 && this.options.runtime.now() - this.openedAt >= stableMs) {
      this.backoff.reset();
      this.renewed = false;
    }
    this.openedAt = 0;
    const then = afterClose(code);
    if (then === "stop" || (then === "renew" && this.renewed)) {
      this.unwatch();
      this.enter({ name: "stopped", code });
      return;
    }
    if (then === "renew") {
      this.renewed = true;
      const generation = ++this.generation;
      this.enter({ name: "connecting" });
      const on = () => {
        if (generation === this.generation) this.wait(this.backoff.next());
      };
      this.options.renew().then(on, on);
      return;
    }
    this.wait(this.backoff.next());
  }

  private wait(ms: number): void {
    this.cancelTimer();
    if (!this.options.runtime.online()) {
      this.enter({ name: "offline" });
      return;
    }
    this.enter({ name: "waiting", until: this.options.runtime.now() + ms });
    this.cancelTimer = this.options.runtime.after(ms, () => this.dial());
  }

  /** listen starts the watch over silence anew: a ping after the heartbeat, the end after another pause. */
  private listen(ms = this.heartbeatMs): void {
    this.cancelWatch();
    if (this.openedAt === 0) return; // the handshake has a deadline of its own
    this.cancelWatch = this.options.runtime.after(ms, () => this.ping(pongMs));
  }

  private ping(patienceMs: number): void {
    if (!this.send({ t: "ping" })) return;
    this.cancelWatch();
    this.cancelWatch = this.options.runtime.after(patienceMs, () => this.lost());
  }

  private deadline(ms: number): void {
    this.cancelTimer();
    this.cancelTimer = this.options.runtime.after(ms, () => this.lost());
  }

  /** lost gives the socket up without waiting for a closing handshake, which a dead peer never answers. */
  private lost(): void {
    this.drop(closeNoPong);
    this.openedAt = 0;
    this.wait(this.backoff.next());
  }

  private drop(code: number | undefined): void {
    this.cancelTimer();
    this.cancelWatch();
    this.generation++;
    const socket = this.socket;
    this.socket = undefined;
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    if (code !== undefined) socket.close(code);
  }

  private onSurroundings(what: "online" | "offline" | "visible"): void {
    const name = this.phase.name;
    if (what === "offline") {
      if (name === "waiting") this.wait(0);
      else if (name === "open") this.ping(probeMs);
      return;
    }
    if (name === "open") this.ping(probeMs);
    else if (name === "offline" || (name === "waiting" && what === "online")) this.dial();
    else if (name === "waiting") this.wait(Math.min(this.backoff.next(), 1000));
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    this.options.onPhase(phase);
  }
}
