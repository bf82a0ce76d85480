import { h } from "./dom.ts";

// Chinese punctuation and Han characters end an address: people write them
// against it without a space.
const address = /\bhttps?:\/\/[^\s<>"'\u3000-\u303f\u3400-\u9fff\uff00-\uffef\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/giu;
const trailing = /[.,;:!?)\]}'*_]+$/u;

/**
 * linkify turns text into text nodes and links. Only http and https become
 * links, shown as they are written and with the address the URL parser made of
 * them; a link whose parsed host differs from the one shown (other scripts,
 * user names before an @) stays text.
 */
export function linkify(text: string): Node[] {
  const out: Node[] = [];
  let last = 0;
  for (const match of text.matchAll(address)) {
    const shown = match[0].replace(trailing, "");
    const href = safeHref(shown);
    if (href === undefined) continue;
    if (match.index > last) out.push(document.createTextNode(text.slice(last, match.index)));
    out.push(h("a", { attrs: { href, target: "_blank", rel: "noopener noreferrer nofollow" } }, shown));
    last = match.index + shown.length;
  }
  if (last < text.length) out.push(document.createTextNode(text.slice(last)));
  return out;
}

function safeHref(shown: string): string | undefined {
  let url: URL;
  try {
    url = new URL(shown);
  } catch {
    return undefined;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  const written = shown.slice(shown.indexOf("//") + 2).split(/[/?#]/u)[0] ?? "";
  return url.host === written.toLowerCase() || `${url.host}:80` === written || `${url.host}:443` === written ? url.href : undefined;
}
