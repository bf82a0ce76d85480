import { afterEach, describe, expect, it, vi } from "vitest";
import { Cursors } from "../src/sdk/book.ts";
import { connect } from "../src/sdk/index.ts";
import { memoryShelf } from "../src/sdk/outbox.ts";
import { newStream } from "../src/sdk/stream.ts";

/** eventually waits until an expectation holds, on a machine that has other things to do. */
const eventually = (holds: () => void) => vi.waitFor(holds, { timeout: 30_000 });

const hello = { t: "hello", v: 1, token: "vst_1", resume: { epoch: "e7", cursors: { cnv_1: 4, cnv_2: 9 } } };

/** Server answers fetches: one event stream that the test writes, and posts. */
class Server {
  readonly asked: { path: string; init: RequestInit }[] = [];
  status = 200;
  answer: { status: number; text: string } = { status: 200, text: "" };
  private stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor() {
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => this.serve(url, init));
  }

  /** write sends a part of the stream. */
  write(text: string | Uint8Array): void {
    this.stream?.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text);
  }

  end(): void {
    this.stream?.close();
  }

  private serve(url: string, init: RequestInit): Promise<Response> {
    const path = url.replace(/^.*[/]v1[/]widget/, "");
    this.asked.push({ path, init });
    if (init.signal?.aborted === true) return Promise.reject(new Error("aborted"));
    if (path === "/session") return Promise.resolve(Response.json({ token: "vst_1", expires_at: "2099-01-01T00:00:00Z" }, { status: 201 }));
    if (path === "/frames") return Promise.resolve(new Response(this.answer.status === 204 ? null : this.answer.text, { status: this.answer.status }));
    if (this.status !== 200) return Promise.resolve(new Response("{}", { status: this.status }));
    return Promise.resolve(new Response(new ReadableStream({ start: (c) => void (this.stream = c) })));
  }
}

/** open makes a stream that has said hello. */
async function open(server: Server) {
  const socket = newStream("https://support.example/v1/widget");
  const got: unknown[] = [];
  const codes: number[] = [];
  await new Promise<void>((done) => {
    socket.onopen = done;
  });
  socket.onmessage = (e) => got.push(e.data);
  socket.onclose = (e) => codes.push(e.code);
  socket.send(JSON.stringify(hello));
  await eventually(() => expect(server.asked.length).toBe(1));
  return { socket, got, codes };
}

afterEach(() => vi.unstubAllGlobals());

describe("newStream", () => {
  it("opens with the token in a header and the cursors as the place", async () => {
    const server = new Server();
    await open(server);
    expect(server.asked[0]?.path).toBe("/events");
    expect(server.asked[0]?.init).toMatchObject({ credentials: "omit", headers: { authorization: "Bearer vst_1", "last-event-id": "e7/cnv_1:4,cnv_2:9" } });
  });

  it("gives frames however they are cut, and passes comments over", async () => {
    const server = new Server();
    const { got } = await open(server);
    const bytes = new TextEncoder().encode('id: e7/cnv_1:5\ndata: {"t":"event","text":"你好"}\n\n: still here\n\ndata: {"t":"pong"}\n\n');
    for (const byte of bytes) server.write(Uint8Array.of(byte));
    await eventually(() => expect(got).toEqual(['{"t":"event","text":"你好"}', '{"t":"pong"}']));
  });

  it("ends with the code that the server gives", async () => {
    const server = new Server();
    const { codes, got } = await open(server);
    server.write('event: close\ndata: {"code":3001,"reason":"drain"}\n\n');
    await eventually(() => expect(codes).toEqual([3001]));
    server.end();
    await Promise.resolve();
    expect(codes).toEqual([3001]);
    expect(got).toEqual([]);
  });

  it.each([[401, 3500], [403, 3507], [429, 1006], [502, 1006]])("takes a refusal with %i for the code %i", async (status, code) => {
    const server = new Server();
    server.status = status;
    const { codes } = await open(server);
    await eventually(() => expect(codes).toEqual([code]));
  });

  it("ends with 1006 when the stream breaks off", async () => {
    const server = new Server();
    const { codes } = await open(server);
    server.end();
    await eventually(() => expect(codes).toEqual([1006]));
  });

  it("posts frames and hears their answers", async () => {
    const server = new Server();
    const { socket, got, codes } = await open(server);
    server.answer = { status: 200, text: '{"t":"ack","client_id":"a"}' };
    socket.send('{"t":"message.send","client_id":"a","text":"hi"}');
    await eventually(() => expect(got).toEqual(['{"t":"ack","client_id":"a"}']));
    expect(server.asked[1]).toMatchObject({ path: "/frames", init: { method: "POST", body: '{"t":"message.send","client_id":"a","text":"hi"}', headers: { authorization: "Bearer vst_1", "content-type": "application/json" } } });
    server.answer = { status: 401, text: "{}" };
    socket.send('{"t":"ping"}');
    await eventually(() => expect(codes).toEqual([3500]));
  });

  it("says nothing once it was closed", async () => {
    const server = new Server();
    const { socket, codes } = await open(server);
    socket.close();
    socket.send('{"t":"ping"}');
    await new Promise((done) => setTimeout(done));
    expect(codes).toEqual([]);
  });
});

describe("Cursors", () => {
  const event = (id: string, seq: number) => ({ t: "event", conversation_id: id, seq, at: "", type: "message.accepted", data: { id: "m", seq, at: "", from: "visitor", text: "x" } }) as const;

  it("remembers places and knows what it has had", () => {
    const c = new Cursors();
    expect(c.fold(event("a", 3))).toBe("new");
    expect(c.fold(event("a", 3))).toBe("known");
    expect(c.fold(event("b", 1))).toBe("new");
    expect(c.cursors()).toEqual({ a: 3, b: 1 });
    c.forget("a");
    expect(c.cursors()).toEqual({ b: 1 });
    c.forget();
    expect(c.cursors()).toEqual({});
  });
});

describe("connect", () => {
  it("talks by a stream where every WebSocket fails, and keeps what is unsent over a reload", async () => {
    const server = new Server();
    vi.stubGlobal("WebSocket", class {
      onclose: ((event: { code: number }) => void) | null = null;

      constructor() {
        void Promise.resolve().then(() => this.onclose?.({ code: 1006 }));
      }

      close(): void {
        // It never was open.
      }
    });
    vi.spyOn(Math, "random").mockReturnValue(0);
    const shelf = memoryShelf();
    const phases: string[] = [];
    const events: number[] = [];
    const options = { base: "https://support.example", inbox: "shop", shelf, onPhase: (p: { name: string }) => phases.push(p.name), onEvent: (f: { seq: number }) => events.push(f.seq) };
    const chat = connect(options);
    expect(chat.say("hello?")).toBe(true);
    await eventually(() => expect(server.asked.some((a) => a.path === "/events")).toBe(true));
    chat.stop();
    expect(chat.outbox.all()).toHaveLength(1);

    const again = connect(options); // as after a reload: nothing but the shelf is the same
    await eventually(() => expect(server.asked.filter((a) => a.path === "/events")).toHaveLength(2));
    server.answer = { status: 204, text: "" };
    server.write('data: {"t":"welcome","session":"s","epoch":"e7","heartbeat_ms":25000,"max_frame":32768}\n\ndata: {"t":"resumed","complete":true}\n\n');
    await eventually(() => expect(server.asked.some((a) => a.path === "/frames")).toBe(true));
    const sent = JSON.parse(server.asked.find((a) => a.path === "/frames")?.init.body as string) as { client_id: string; text: string };
    expect(sent).toMatchObject({ text: "hello?", client_id: chat.outbox.all()[0]?.client_id });
    server.write(`data: {"t":"event","conversation_id":"cnv_1","seq":2,"at":"","type":"message.accepted","data":{"seq":2,"from":"visitor","text":"hello?","client_id":"${sent.client_id}"}}\n\n`);
    await eventually(() => expect(events).toEqual([2]));
    expect(again.outbox.all()).toHaveLength(0);
    expect(phases.at(-1)).toBe("open");
    again.stop();
  });
});
