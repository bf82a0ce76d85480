import type { Runtime, Socket } from "../src/sdk/runtime.ts";

/** FakeSocket is a socket whose other end is the test. */
export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | undefined;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  /** open lets the upgrade succeed. */
  open(): void {
    this.onopen?.();
  }

  /** say sends a frame to the client. */
  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** fail ends the connection from the server's side or by the network. */
  fail(code: number): void {
    this.onclose?.({ code });
  }
}

/** World is a runtime with a clock that the test moves. */
export class World implements Runtime {
  time = 1_700_000_000_000;
  up = true;
  luck = 0.5;
  readonly sockets: FakeSocket[] = [];
  private timers: { at: number; run: () => void }[] = [];
  private watcher: ((what: "online" | "offline" | "visible") => void) | undefined;

  now(): number {
    return this.time;
  }

  random = (): number => this.luck;

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((t) => t !== timer);
    };
  }

  dial(url: string, protocols: string[]): Socket {
    const s = new FakeSocket(url, protocols);
    this.sockets.push(s);
    return s;
  }

  stream(base: string): Socket {
    return this.dial(base, []);
  }

  online(): boolean {
    return this.up;
  }

  watch(on: (what: "online" | "offline" | "visible") => void): () => void {
    this.watcher = on;
    return () => (this.watcher = undefined);
  }

  /** happen tells the client of its surroundings. */
  happen(what: "online" | "offline" | "visible"): void {
    this.watcher?.(what);
  }

  /** pass moves the clock, runs what is due in order, and lets promises settle. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const due = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((t) => t !== due);
      this.time = Math.max(this.time, due.at);
      due.run();
    }
    this.time = end;
    await settle();
  }

  /** last is the newest socket. */
  last(): FakeSocket {
    const s = this.sockets.at(-1);
    if (s === undefined) throw new Error("nothing was dialed");
    return s;
  }

  /** welcome takes the newest socket through the handshake. */
  async welcome(more: object = {}): Promise<FakeSocket> {
    await settle();
    const s = this.last();
    s.open();
    s.say({ t: "welcome", session: "ws_1", epoch: "e7", heartbeat_ms: 25_000, max_frame: 65_536, ...more });
    s.say({ t: "resumed", complete: true });
    await settle();
    return s;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}
