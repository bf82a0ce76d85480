import type { Attachment } from "../sdk/frames.ts";
import { h } from "./dom.ts";
import type { FileWords } from "./filewords.ts";
import { reasonText, sizeText } from "./filewords.ts";
import { icon } from "./icon.ts";
import { say } from "./lang.ts";

/** FileSource knows where the page gets a file from. */
export interface FileSource {
  /** url gives an address that the page can load: the server's own, or one in memory. */
  url(id: string): Promise<string>;
}

const pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** filesOf shows the files of a message: pictures as such, others to be saved. */
export function filesOf(all: readonly Attachment[] | undefined, words: FileWords, source: FileSource): HTMLElement | null {
  if (all === undefined || all.length === 0) return null;
  return h("div", { class: "files" }, ...all.map((a) => fileOf(a, words, source)));
}

function fileOf(a: Attachment, words: FileWords, source: FileSource): HTMLElement {
  if (a.state !== "stored") {
    const text = a.state === "pending" ? words.pending : reasonText(words, a.reason ?? "");
    return h("div", { class: `file ${a.state}`, attrs: { "data-file": a.id } }, icon(a.state === "pending" ? "clock" : "alert"), h("span", { class: "name" }, a.name), h("span", { class: "state" }, text));
  }
  const picture = pictures.includes(a.type ?? "");
  const save = h("button", { class: picture ? "file picture" : "file", attrs: { type: "button", "data-file": a.id, title: a.name, "aria-label": say(words.download, { name: a.name }) }, onclick: () => void saveFile(a, source, save) });
  if (picture) save.append(pictureOf(a, source));
  else save.append(icon("clip"), h("span", { class: "name" }, a.name), h("span", { class: "state" }, sizeText(a.size ?? 0)));
  return save;
}

function pictureOf(a: Attachment, source: FileSource): HTMLElement {
  const img = h("img", { attrs: { alt: a.name, loading: "lazy", decoding: "async" } });
  source.url(a.id).then((url) => (img.src = url), () => img.replaceWith(h("span", { class: "name" }, a.name)));
  return img;
}

/** saveFile has the browser save a file under its own name. */
async function saveFile(a: Attachment, source: FileSource, button: HTMLElement): Promise<void> {
  try {
    const link = h("a", { attrs: { href: await source.url(a.id), download: a.name } });
    document.body.append(link);
    link.click();
    link.remove();
  } catch {
    button.classList.add("failed");
  }
}
