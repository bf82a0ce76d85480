import { browserShelf } from "../sdk/outbox.ts";
import { Refused } from "../sdk/session.ts";
import { fill, h } from "../ui/dom.ts";
import type { Lang } from "../ui/lang.ts";
import { pickLang } from "../ui/lang.ts";
import { Api } from "./api.ts";
import type { Me } from "./api.ts";
import { App } from "./app.ts";
import { loginPage, setupPage } from "./login.ts";
import { consoleWords } from "./words.ts";

const shelf = browserShelf();
const api = new Api();
const signedKey = "colloquy.console.signed";
let app: App | undefined;
let lang: Lang = pickLang(new URLSearchParams(location.search).get("lang") ?? shelf.getItem("colloquy.console.lang") ?? "auto");

function keep(key: string, value: string): void {
  try {
    shelf.setItem(`colloquy.console.${key}`, value);
  } catch {
    // The choice then lasts as long as the page.
  }
}

function applyTheme(): void {
  const theme = shelf.getItem("colloquy.console.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset["theme"] = theme;
}

function switchTheme(): void {
  const dark = document.documentElement.dataset["theme"] === "dark" || (document.documentElement.dataset["theme"] === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
  keep("theme", dark ? "light" : "dark");
  document.documentElement.dataset["theme"] = dark ? "light" : "dark";
}

function applyLang(): void {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  document.title = consoleWords(lang).product;
}

function leave(): void {
  app?.stop();
  app = undefined;
}

function gate(notice: string): void {
  leave();
  shelf.removeItem(signedKey);
  const words = consoleWords(lang);
  const page = location.hash.startsWith("#setup") ? setupPage(api, words, (s) => void enter(s)) : loginPage(api, words, notice, (s) => void enter(s));
  const other = h("button", { class: "quiet langswitch", attrs: { type: "button" }, onclick: () => {
    switchLang();
    gate(notice);
  } }, words.language);
  fill(document.body, page, other);
}

function switchLang(): void {
  lang = lang === "zh" ? "en" : "zh";
  keep("lang", lang);
  applyLang();
}

async function enter(me: Me): Promise<void> {
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  keep("signed", "1");
  const [inboxes, agents] = await Promise.all([api.inboxes(), api.agents()]);
  leave();
  app = new App({
    api, me, inboxes: inboxes.data, agents: agents.data, lang,
    onTheme: switchTheme,
    onLang: () => {
      switchLang();
      void enter(me);
    },
    onSignOut: () => void api.signOut().catch(() => undefined).then(() => gate("")),
  });
  fill(document.body, app.el);
  app.start();
}

/** boot asks who is signed in only where somebody was: the answer 401 would stand in the browser's console as an error. */
async function boot(): Promise<void> {
  try {
    if (shelf.getItem(signedKey) !== null) {
      await enter(await api.profile());
      return;
    }
    if (location.hash === "" && (await api.needsSetup())) location.hash = "#setup";
    gate("");
  } catch (err) {
    if (err instanceof Refused && (err.status === 401 || err.status === 403 || err.status === 404)) {
      gate("");
      return;
    }
    const words = consoleWords(lang);
    fill(document.body, h("main", { class: "gate" }, h("div", { class: "card login" }, h("p", { attrs: { role: "alert" } }, words.loginDown), h("button", { class: "primary wide", attrs: { type: "button" }, onclick: () => void boot() }, words.retry))));
  }
}

api.onSignedOut = () => gate(consoleWords(lang).sessionOver);
addEventListener("hashchange", () => {
  if (app === undefined) gate("");
});
applyTheme();
applyLang();
void boot();
