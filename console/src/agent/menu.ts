import type { Child } from "../ui/dom.ts";
import { h } from "../ui/dom.ts";

export interface MenuEntry {
  label: Child;
  run(): void;
  disabled?: boolean;
}

/**
 * openMenu shows a short list below its button. Arrow keys move, Escape and a
 * click elsewhere close, and focus goes back to the button.
 */
export function openMenu(button: HTMLElement, label: string, entries: MenuEntry[]): void {
  const items = entries.map((e) => h("button", { attrs: { type: "button", role: "menuitem", disabled: e.disabled === true }, onclick: () => {
    close(true);
    e.run();
  } }, e.label));
  const menu = h("div", { class: "menu", attrs: { role: "menu", "aria-label": label }, onkeydown: (event) => onKey(event) }, ...items);
  const parent = button.parentElement ?? document.body;
  parent.append(menu);
  button.setAttribute("aria-expanded", "true");
  items[0]?.focus();
  const outside = (event: Event) => {
    if (!(event.target instanceof Node) || (!menu.contains(event.target) && !button.contains(event.target))) close(false);
  };
  setTimeout(() => document.addEventListener("pointerdown", outside), 0);

  function close(back: boolean): void {
    document.removeEventListener("pointerdown", outside);
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    if (back) button.focus();
  }

  function onKey(event: KeyboardEvent): void {
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (event.key === "ArrowDown") items[(at + 1) % items.length]?.focus();
    else if (event.key === "ArrowUp") items[(at - 1 + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** openDialog shows a modal window with a title and a body. */
export function openDialog(title: string, closeLabel: string, body: HTMLElement): void {
  const dialog = h("dialog", { class: "dialog", attrs: { "aria-label": title } },
    h("header", {}, h("h2", {}, title), h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => dialog.close() }, closeLabel)), body);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** Toasts are short messages that leave by themselves; errors stay longer. */
export class Toasts {
  readonly el = h("div", { class: "toasts", attrs: { role: "status", "aria-live": "assertive" } });

  /** tell shows a message. */
  tell(text: string, tone: "ok" | "bad" = "ok"): void {
    const toast = h("div", { class: `toast ${tone}` }, text);
    this.el.append(toast);
    while (this.el.childElementCount > 4) this.el.firstElementChild?.remove();
    setTimeout(() => toast.remove(), tone === "bad" ? 8000 : 3500);
  }
}
