import { h } from "../ui/dom.ts";
import type { Filter } from "./filter.ts";
import { filters } from "./filter.ts";
import { openDialog } from "./menu.ts";
import type { Words } from "./words.ts";

export interface ShortcutActions {
  move(by: 1 | -1): void;
  write(mode: "message" | "note"): void;
  deed(what: "claim" | "resolve" | "reopen"): void;
  snooze(): void;
  search(): void;
  filter(f: Filter): void;
  back(): void;
}

/** listenForShortcuts gives single keys a meaning while no text is being written. The result ends it. */
export function listenForShortcuts(actions: ShortcutActions, words: Words): () => void {
  const keys: Record<string, () => void> = {
    j: () => actions.move(1), k: () => actions.move(-1), r: () => actions.write("message"), n: () => actions.write("note"),
    c: () => actions.deed("claim"), e: () => actions.deed("resolve"), o: () => actions.deed("reopen"), z: () => actions.snooze(),
    "/": () => actions.search(), "?": () => showShortcuts(words),
  };
  filters.forEach((f, i) => (keys[String(i + 1)] = () => actions.filter(f)));
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open], .menu") !== null) return;
    const target = event.target;
    const writing = target instanceof HTMLElement && target.matches("input, textarea, select");
    if (event.key === "Escape") {
      if (writing) target.blur();
      else actions.back();
      return;
    }
    const run = keys[event.key];
    if (writing || run === undefined) return;
    event.preventDefault();
    run();
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

/** showShortcuts lists the keys. */
export function showShortcuts(words: Words): void {
  const rows: [string, string][] = [
    ["J / K", words.kNext], ["R", words.kReply], ["N", words.kNote], ["C", words.kClaim], ["E", words.kResolve], ["O", words.kReopen], ["Z", words.kSnooze],
    ["1 – 4", words.kFilter], ["/", words.kSearch], ["Esc", words.kLeave], ["?", words.kHelp],
  ];
  openDialog(words.keys, words.close, h("dl", { class: "keys" }, ...rows.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])));
}
