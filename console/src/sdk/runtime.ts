/** The part of WebSocket that a link needs. */
export interface Socket {
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** Runtime is everything a link takes from its surroundings, so that tests can stand in for them. */
export interface Runtime {
  now(): number;
  random: () => number;
  after(ms: number, run: () => void): () => void;
  dial(url: string, protocols: string[]): Socket;
  online(): boolean;
  /** watch reports that the network came, went, or that the page is looked at again. */
  watch(on: (what: "online" | "offline" | "visible") => void): () => void;
}

/** browserRuntime is the runtime of a page. */
export const browserRuntime: Runtime = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, run) {
    const id = setTimeout(run, ms);
    return () => clearTimeout(id);
  },
  dial: (url, protocols) => new WebSocket(url, protocols) as unknown as Socket,
  online: () => navigator.onLine,
  watch(on) {
    const online = () => on("online");
    const offline = () => on("offline");
    const visible = () => {
      if (document.visibilityState === "visible") on("visible");
    };
    addEventListener("online", online);
    addEventListener("offline", offline);
    document.addEventListener("visibilitychange", visible);
    return () => {
      removeEventListener("online", online);
      removeEventListener("offline", offline);
      document.removeEventListener("visibilitychange", visible);
    };
  },
};
