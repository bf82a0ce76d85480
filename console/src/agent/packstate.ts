import { h } from "../ui/dom.ts";
import type { PackInfo } from "./packs.ts";
import type { PackWords } from "./packwords.ts";

/** stateChip says how far the newest version of a pack is on the node that was asked. */
export function stateChip(p: PackInfo, words: PackWords): HTMLElement {
  const text = p.state === "live" && !p.calibrated ? words.calibrating : words[p.state];
  const tone = { live: p.calibrated ? "resolved" : "assigned", training: "assigned", idle: "", hidden: "queued", failed: "high" }[p.state];
  return h("span", { class: `chip state ${tone}`, attrs: { "data-state": p.state, title: p.error } }, text);
}
