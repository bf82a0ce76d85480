/** What the embedding page and the frame tell each other. */
export type ToFrame =
  | { t: "opened"; focus: boolean }
  | { t: "closed" }
  | { t: "prefill"; text: string };

export type ToHost =
  | { t: "ready" }
  | { t: "close" }
  | { t: "unread"; n: number; preview: string };

const channel = "colloquy.widget.v1";

/** Bridge speaks with exactly one window of exactly one origin; everything else is not heard. */
export class Bridge<In, Out> {
  constructor(
    private readonly peer: () => Window | null | undefined,
    private readonly origin: string,
    onMessage: (message: In) => void,
  ) {
    addEventListener("message", (event: MessageEvent<unknown>) => {
      if (event.origin !== this.origin || event.source !== this.peer()) return;
      const data = event.data;
      if (typeof data !== "object" || data === null || !("channel" in data) || data.channel !== channel) return;
      if ("message" in data) onMessage(data.message as In);
    });
  }

  /** post sends a message, which the browser delivers only to the right origin. */
  post(message: Out): void {
    this.peer()?.postMessage({ channel, message }, this.origin);
  }
}
