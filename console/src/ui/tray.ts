import type { Attachment } from "../sdk/frames.ts";
import { Refused } from "../sdk/session.ts";
import { h, show } from "./dom.ts";
import type { FileWords } from "./filewords.ts";
import { reasonText, sizeText } from "./filewords.ts";
import { icon } from "./icon.ts";
import { say } from "./lang.ts";
import type { FileLimits, Upload } from "./upload.ts";

/** As many files as one message carries. */
export const mostFiles = 10;

export interface TrayOptions {
  words: FileWords;
  /** limits of the server; undefined while they are not known, or where it takes no files. */
  limits(): FileLimits | undefined;
  /** send begins an upload. */
  send(file: File, onProgress: (part: number) => void): Upload;
  /** Something has changed: whether the message can go now. */
  onChange(): void;
}

interface Waiting {
  el: HTMLElement;
  upload?: Upload;
  attachment?: Attachment;
  failed?: boolean;
}

/** Tray holds the files of the message that is being written, from choosing them to sending them. */
export class Tray {
  readonly el = h("div", { class: "tray", attrs: { role: "group" } });
  private readonly note = h("p", { class: "traynote", attrs: { role: "alert" } });
  private files: Waiting[] = [];

  constructor(private readonly options: TrayOptions) {
    this.el.setAttribute("aria-label", options.words.attach);
    this.refresh();
  }

  /** busy says that a file is still on its way. */
  get busy(): boolean {
    return this.files.some((f) => f.attachment === undefined && f.failed !== true);
  }

  /** attachments are the files that have arrived, in the order in which they were chosen. */
  get attachments(): Attachment[] {
    return this.files.flatMap((f) => (f.attachment === undefined ? [] : [f.attachment]));
  }

  /** add takes files that a person chose, pasted or dropped. */
  add(files: Iterable<File>): void {
    const { words } = this.options;
    this.note.textContent = "";
    for (const file of files) {
      if (this.files.length >= mostFiles) {
        this.note.textContent = say(words.many, { n: mostFiles });
        break;
      }
      this.take(file);
    }
    this.refresh();
  }

  /** clear forgets all files, when they were sent or another conversation is shown. */
  clear(): void {
    for (const f of this.files) if (f.attachment === undefined) f.upload?.cancel();
    this.files = [];
    this.note.textContent = "";
    this.refresh();
  }

  private take(file: File): void {
    const { words } = this.options;
    const bar = h("progress", { attrs: { max: 1, value: 0, "aria-label": say(words.uploading, { name: file.name }) } });
    const state = h("span", { class: "state" }, sizeText(file.size));
    const one: Waiting = { el: h("div", { class: "chip file" }) };
    const remove = h("button", { class: "remove", attrs: { type: "button", "aria-label": say(words.remove, { name: file.name }) }, onclick: () => this.drop(one) }, icon("close"));
    one.el.append(icon("clip"), h("span", { class: "name", attrs: { title: file.name } }, file.name), state, bar, remove);
    this.files.push(one);
    const fail = (text: string) => {
      one.failed = true;
      one.el.classList.add("failed");
      state.textContent = text;
      state.setAttribute("role", "alert");
      bar.remove();
    };
    const max = this.options.limits()?.max_bytes ?? Infinity;
    if (file.size > max || file.size === 0) {
      fail(file.size === 0 ? words.empty : say(words.tooLargeOf, { max: sizeText(max) }));
      return;
    }
    one.upload = this.options.send(file, (part) => (bar.value = part));
    one.upload.done.then((attachment) => {
      one.attachment = attachment;
      one.el.classList.add("done");
      bar.remove();
    }, (err: unknown) => fail(reasonText(words, err instanceof Refused ? (err.problem.code ?? "") : ""))).finally(() => this.refresh());
  }

  private drop(one: Waiting): void {
    if (one.attachment === undefined) one.upload?.cancel();
    this.files = this.files.filter((f) => f !== one);
    this.note.textContent = "";
    this.refresh();
  }

  private refresh(): void {
    this.el.replaceChildren(...this.files.map((f) => f.el), this.note);
    show(this.note, this.note.textContent !== "");
    show(this.el, this.files.length > 0 || this.note.textContent !== "");
    this.options.onChange();
  }
}
