import type { ClientFrame } from "./frames.ts";
import type { Socket } from "./runtime.ts";

const most = 8; // cursors that the server takes

/**
 * newStream makes a socket for networks that let no WebSocket through: frames
 * come as server-sent events and go out as posts to addresses below base. It
 * looks like any other socket, so the link above it does not know. EventSource
 * is not used, because it can send no header, and a token does not belong in an
 * address.
 */
export function newStream(base: string): Socket {
  const gone = new AbortController();
  let headers: Record<string, string> = {};
  const socket: Socket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    send(data) {
      const frame = JSON.parse(data) as ClientFrame;
      (frame.t === "hello" ? listen(frame) : post(data)).catch(() => end(1006));
    },
    close: () => gone.abort(),
  };
  void Promise.resolve().then(() => socket.onopen?.());
  return socket;

  function end(code: number): void {
    if (!gone.signal.aborted) socket.onclose?.({ code });
    gone.abort();
  }

  /** ask gives the answer to a request unless it is about the credential, which ends the socket as a close code would. */
  async function ask(path: string, more: RequestInit): Promise<Response | undefined> {
    const response = await fetch(base + path, { credentials: "omit", cache: "no-store", signal: gone.signal, ...more });
    const code = ({ 401: 3500, 403: 3507 } as Record<number, number>)[response.status];
    if (code === undefined) return response;
    end(code);
    return undefined;
  }

  async function listen({ token, resume }: Extract<ClientFrame, { t: "hello" }>): Promise<void> {
    headers = { authorization: `Bearer ${token ?? ""}` };
    const places = Object.entries(resume?.cursors ?? {}).slice(-most).map(([id, seq]) => `${id}:${seq}`);
    const response = await ask("/events", { headers: { ...headers, "last-event-id": `${resume?.epoch ?? ""}/${places.join()}` } });
    const reader = response?.ok === true ? response.body?.pipeThrough(new TextDecoderStream()).getReader() : undefined;
    for (let text = ""; reader !== undefined; ) {
      const { done, value } = await reader.read();
      if (done) break;
      const events = (text + value).split("\n\n");
      text = events.pop() ?? "";
      events.forEach(hear);
    }
    end(1006);
  }

  function hear(event: string): void {
    const data = /^data: (.*)/m.exec(event)?.[1];
    if (data === undefined) return; // a comment, against idle proxies
    if (event.startsWith("event: close")) end((JSON.parse(data) as { code: number }).code);
    else socket.onmessage?.({ data });
  }

  async function post(body: string): Promise<void> {
    const response = await ask("/frames", { method: "POST", headers: { ...headers, "content-type": "application/json" }, body });
    // A refusal is a frame too. A proxy's page is none and is passed over.
    if (response !== undefined) socket.onmessage?.({ data: await response.text() });
  }
}
