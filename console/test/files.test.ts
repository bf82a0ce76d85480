import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Attachment, Entry } from "../src/sdk/frames.ts";
import { emptyHead, foldHead } from "../src/sdk/head.ts";
import { Refused } from "../src/sdk/session.ts";
import { emptyTimeline, fileStates, foldTimeline } from "../src/sdk/timeline.ts";
import { Composer } from "../src/ui/composer.ts";
import { filesOf } from "../src/ui/files.ts";
import { fileWordsOf, sizeText } from "../src/ui/filewords.ts";
import { mostFiles, Tray } from "../src/ui/tray.ts";
import type { Upload } from "../src/ui/upload.ts";

const words = fileWordsOf("en");
const tick = () => new Promise((done) => setTimeout(done, 0));

beforeEach(() => document.body.replaceChildren());

function attachment(id: string, over: Partial<Attachment> = {}): Attachment {
  return { id, name: `${id}.png`, type: "image/png", size: 2048, state: "stored", ...over };
}

/** trayOf makes a tray whose uploads end when the test says so. */
function trayOf(max = 1000) {
  const uploads: { file: File; progress: (part: number) => void; resolve: (a: Attachment) => void; reject: (err: unknown) => void; cancel: ReturnType<typeof vi.fn> }[] = [];
  const onChange = vi.fn();
  const tray = new Tray({
    words, limits: () => ({ max_bytes: max }), onChange,
    send(file, progress): Upload {
      const cancel = vi.fn();
      const done = new Promise<Attachment>((resolve, reject) => uploads.push({ file, progress, resolve, reject, cancel }));
      return { done, cancel };
    },
  });
  document.body.append(tray.el);
  return { tray, uploads, onChange };
}

const text = (name: string, content = "hello") => new File([content], name, { type: "text/plain" });

describe("Tray", () => {
  it("keeps files in order, whichever arrives first, and is busy until all have", async () => {
    const { tray, uploads } = trayOf();
    tray.add([text("a"), text("b")]);
    expect(tray.busy).toBe(true);
    uploads[1]?.resolve(attachment("b"));
    await tick();
    expect(tray.busy).toBe(true);
    uploads[0]?.progress(0.5);
    expect(tray.el.querySelector("progress")?.value).toBe(0.5);
    uploads[0]?.resolve(attachment("a"));
    await tick();
    expect(tray.busy).toBe(false);
    expect(tray.attachments.map((a) => a.id)).toEqual(["a", "b"]);
  });

  it("says what is wrong with a file, and does not send one that is too large or empty", async () => {
    const { tray, uploads } = trayOf(4);
    tray.add([text("big", "hello"), text("none", "")]);
    expect(uploads).toHaveLength(0);
    expect([...tray.el.querySelectorAll(".failed .state")].map((e) => e.textContent)).toEqual(["This file is too large; the limit is 4 B", "This file is empty"]);
    tray.add([text("odd", "x")]);
    uploads[0]?.reject(new Refused(400, { code: "media_type_refused" }));
    await tick();
    expect(tray.el.querySelectorAll(".failed .state")[2]?.textContent).toBe("Files of this kind are not accepted");
    expect(tray.busy).toBe(false);
    expect(tray.attachments).toEqual([]);
  });

  it("takes as many as a message carries, and lets them be removed", () => {
    const { tray, uploads } = trayOf();
    tray.add(Array.from({ length: mostFiles + 2 }, (_, i) => text(`f${i}`)));
    expect(uploads).toHaveLength(mostFiles);
    expect(tray.el.querySelector(".traynote")?.textContent).toContain(String(mostFiles));
    tray.el.querySelector<HTMLButtonElement>(".remove")?.click();
    expect(uploads[0]?.cancel).toHaveBeenCalled();
    expect(tray.el.querySelectorAll(".chip")).toHaveLength(mostFiles - 1);
    tray.clear();
    expect(uploads[5]?.cancel).toHaveBeenCalled();
    expect(tray.el.hidden).toBe(true);
  });
});

describe("Composer", () => {
  it("sends files without words, and waits for those on their way", () => {
    let busy = true;
    const sent: string[] = [];
    const added: string[] = [];
    const composer = new Composer({
      label: "l", placeholder: "p", send: "s", onSend: (t) => sent.push(t) > 0, onTyping: () => undefined,
      attach: { label: "a", drop: "d", add: (files) => [...files].forEach((f) => added.push(f.name)), busy: () => busy, some: () => true },
    });
    document.body.append(composer.el);
    const button = composer.el.querySelector<HTMLButtonElement>(".send");
    const clip = composer.el.querySelector<HTMLButtonElement>(".clip");
    expect(clip?.hidden).toBe(true);
    composer.takeFiles(true);
    expect(clip?.hidden).toBe(false);
    composer.refresh();
    expect(button?.disabled).toBe(true);
    composer.el.requestSubmit();
    expect(sent).toEqual([]);
    busy = false;
    composer.refresh();
    expect(button?.disabled).toBe(false);
    composer.el.requestSubmit();
    expect(sent).toEqual([""]);
    const paste = new Event("paste", { cancelable: true });
    Object.assign(paste, { clipboardData: { files: [text("pasted.png")] } });
    composer.box.dispatchEvent(paste);
    expect(added).toEqual(["pasted.png"]);
    expect(paste.defaultPrevented).toBe(true);
  });
});

describe("filesOf", () => {
  it("shows pictures, files, and why one is not there; names are never markup", async () => {
    const source = { url: vi.fn((id: string) => Promise.resolve(`/v1/attachments/${id}`)) };
    const el = filesOf([
      attachment("p"), attachment("d", { name: "<img src=x>.pdf", type: "application/pdf" }),
      attachment("w", { state: "pending" }), attachment("u", { state: "unavailable", reason: "too_large" }),
    ], words, source);
    await tick();
    expect(el?.querySelectorAll("img")).toHaveLength(1);
    expect(el?.querySelector("img")?.getAttribute("src")).toBe("/v1/attachments/p");
    expect(el?.querySelector("[data-file=d]")?.textContent).toBe("<img src=x>.pdf2 KB");
    expect(el?.querySelector("[data-file=w]")?.textContent).toContain("Receiving");
    expect(el?.querySelector("[data-file=u]")?.textContent).toContain("too large");
    expect(source.url).toHaveBeenCalledTimes(1);
    expect(filesOf([], words, source)).toBeNull();
  });

  it("reads sizes", () => {
    expect([900, 2048, 1536, 10 << 20, 999 * 1024].map(sizeText)).toEqual(["900 B", "2 KB", "1.5 KB", "10 MB", "999 KB"]);
  });
});

describe("folding", () => {
  it("puts what became of a file in the place of the pending one, and shows names in lists", () => {
    const line = emptyTimeline();
    const pending = attachment("v", { state: "pending" });
    const message: Entry = { seq: 1, at: "2026-01-01T00:00:00Z", type: "message.accepted", data: { id: "m", seq: 1, at: "2026-01-01T00:00:00Z", from: "visitor", text: "", attachments: [pending] } };
    foldTimeline(line, message);
    const before = line.items[0];
    foldTimeline(line, { seq: 2, at: "2026-01-01T00:00:01Z", type: "message.attachment_changed", data: { message: 1, attachment: attachment("v") } });
    const after = line.items[0];
    if (before?.kind !== "message" || after?.kind !== "message") throw new Error("no message");
    expect(fileStates(before.attachments)).toBe("p");
    expect(fileStates(after.attachments)).toBe("s");
    expect(foldHead(emptyHead("c"), message).preview).toBe("[v.png]");
  });
});
