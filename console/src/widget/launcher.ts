import { h, show, write } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { pickLang, say } from "../ui/lang.ts";
import type { ToFrame, ToHost } from "./bridge.ts";
import { Bridge } from "./bridge.ts";
import { launcherStyle } from "./launcherstyle.ts";
import { wordsOf } from "./words.ts";

/** WidgetApi is what the embedding page may do, as window.colloquy. */
export interface WidgetApi {
  open(): void;
  close(): void;
  toggle(): void;
  /** prefill opens the window with a text in the composer; sending it stays with the visitor. */
  prefill(text: string): void;
  /** onUnread hears of the number of unread messages; the result ends it. */
  onUnread(listener: (n: number) => void): () => void;
}

declare global {
  interface Window {
    colloquy?: WidgetApi;
  }
}

interface Settings {
  base: URL;
  inbox: string;
  lang: string;
  side: "left" | "right";
  theme: string;
}

function settingsOf(script: HTMLScriptElement): Settings {
  const data = script.dataset;
  return {
    base: new URL(script.src),
    inbox: data["inbox"] ?? "",
    lang: data["lang"] ?? (document.documentElement.lang || "auto"), // the page's own language unless told otherwise
    side: data["side"] === "left" ? "left" : "right",
    theme: data["theme"] ?? "auto",
  };
}

function frameUrl(s: Settings): string {
  const url = new URL("/widget/frame.html", s.base);
  url.searchParams.set("inbox", s.inbox);
  url.searchParams.set("lang", s.lang);
  url.searchParams.set("theme", s.theme);
  url.searchParams.set("host", location.origin);
  return url.href;
}

/** mount puts the launcher onto the page. Styles are constructed, so they need no style-src of the page. */
function mount(s: Settings): WidgetApi {
  const words = wordsOf(pickLang(s.lang));
  const listeners = new Set<(n: number) => void>();
  let opened = false;
  let ready = false;
  let waiting: ToFrame[] = [];

  const badge = h("span", { class: "badge", attrs: { "aria-hidden": "true" } });
  const button = h("button", { class: "launcher", attrs: { type: "button", "aria-expanded": "false", "aria-label": words.open }, onclick: () => set(!opened) }, icon("chat", "icon chat"), icon("minimize", "icon down"), badge);
  const frame = h("iframe", { attrs: { title: words.title, allow: "", src: frameUrl(s) } });
  const panel = h("div", { class: "panel" }, frame);
  const host = h("div", { attrs: { "data-colloquy": "" } });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(launcherStyle);
  root.adoptedStyleSheets = [sheet];
  const box = h("div", { class: `box ${s.side}` }, panel, button);
  root.append(box);
  show(panel, false);
  show(badge, false);
  document.body.append(host);

  const bridge = new Bridge<ToHost, ToFrame>(() => frame.contentWindow, s.base.origin, (message) => {
    switch (message.t) {
      case "ready":
        ready = true;
        for (const m of waiting) bridge.post(m);
        waiting = [];
        break;
      case "close":
        set(false);
        button.focus();
        break;
      case "unread":
        count(message.n);
        break;
    }
  });
  const post = (message: ToFrame) => {
    if (ready) bridge.post(message);
    else waiting.push(message);
  };

  function count(n: number): void {
    write(badge, n > 99 ? "99+" : String(n));
    show(badge, n > 0);
    button.setAttribute("aria-label", n > 0 ? `${words.open} – ${say(words.unread, { n })}` : words.open);
    for (const listener of listeners) listener(n);
  }

  function set(open: boolean): void {
    if (open === opened) return;
    opened = open;
    show(panel, open);
    box.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    post(open ? { t: "opened", focus: true } : { t: "closed" });
  }

  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened) set(false);
  });

  return {
    open: () => set(true),
    close: () => set(false),
    toggle: () => set(!opened),
    prefill(text) {
      set(true);
      post({ t: "prefill", text });
    },
    onUnread(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

const script = document.currentScript;
if (script instanceof HTMLScriptElement && window.colloquy === undefined) {
  const settings = settingsOf(script);
  const run = () => {
    window.colloquy = mount(settings);
    dispatchEvent(new CustomEvent("colloquy:ready"));
  };
  if (document.body instanceof HTMLElement) run();
  else addEventListener("DOMContentLoaded", run);
}
