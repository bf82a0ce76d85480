import { h, show, write } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { pickLang } from "../ui/lang.ts";
import type { Order, Product } from "./words.ts";
import { shopWords } from "./words.ts";
import type {} from "../widget/launcher.ts"; // for window.colloquy

const lang = pickLang(new URLSearchParams(location.search).get("lang") ?? "zh");
const words = shopWords(lang);
const cart = h("span", { class: "count", attrs: { "aria-live": "polite" } });
let items = 0;

function askFor(text: string): void {
  window.colloquy?.prefill(text);
}

function productCard(p: Product): HTMLElement {
  const button = h("button", { class: "buy", attrs: { type: "button" }, onclick: () => {
    items++;
    write(cart, String(items));
    show(cart, true);
    button.classList.add("added");
    write(button, words.inCart);
  } }, words.cart);
  return h("li", { class: "product" },
    h("img", { attrs: { src: p.image, alt: "", width: 240, height: 200, loading: "lazy" } }),
    h("div", { class: "about" }, h("h3", {}, p.name), h("p", {}, p.about), h("div", { class: "foot" }, h("strong", {}, p.price), button)));
}

function orderRow(o: Order): HTMLElement {
  const question = lang === "zh"
    ? { wait: `订单${o.number}什么时候发货？`, move: `订单${o.number}的快递到哪里了？`, done: `订单${o.number}可以退货吗？` }[o.tone]
    : { wait: `When will order ${o.number} ship?`, move: `Where is my parcel? Order ${o.number}`, done: `Can I return order ${o.number}?` }[o.tone];
  return h("li", { class: "order" },
    h("img", { attrs: { src: o.image, alt: "", width: 72, height: 60 } }),
    h("div", { class: "what" }, h("h3", {}, `${words.order} ${o.number}`), h("p", {}, `${o.item} · ${o.price}`), h("p", { class: "soft" }, o.date)),
    h("div", { class: "state" }, h("span", { class: `chip ${o.tone}` }, o.state), h("p", { class: "soft" }, o.detail)),
    h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => askFor(question) }, words.ask));
}

function page(): HTMLElement {
  show(cart, false);
  const other = lang === "zh" ? "en" : "zh";
  return h("div", { class: "page" },
    h("header", {},
      h("a", { class: "brand", attrs: { href: "#top" } }, icon("chat", "icon bird"), words.brand),
      h("nav", {}, ...words.nav.map((n, i) => h("a", { attrs: { href: ["#new", "#orders", "#help"][i] } }, n)),
        h("a", { class: "lang", attrs: { href: `?lang=${other}`, lang: other } }, words.other)),
      h("span", { class: "cart" }, icon("bag"), cart)),
    h("main", { attrs: { id: "top" } },
      h("section", { class: "hero" },
        h("div", {}, h("h1", {}, words.heroTitle), h("p", {}, words.heroText), h("button", { class: "buy big", attrs: { type: "button" }, onclick: () => window.colloquy?.open() }, words.heroButton)),
        h("div", { class: "shelf", attrs: { "aria-hidden": "true" } }, ...["/img/backpack.svg", "/img/lamp.svg", "/img/kettle.svg"].map((src) => h("img", { attrs: { src, alt: "" } })))),
      h("section", { attrs: { id: "orders" } }, h("h2", {}, words.orders), h("p", { class: "soft" }, words.ordersText), h("ul", { class: "orders" }, ...words.mine.map(orderRow))),
      h("section", { class: "hints", attrs: { id: "help" } }, h("h2", {}, words.hintsTitle), h("p", { class: "soft" }, words.hintsText),
        h("ul", {}, ...words.hints.map((t) => h("li", {}, h("button", { attrs: { type: "button" }, onclick: () => askFor(t) }, t))))),
      h("section", { attrs: { id: "new" } }, h("h2", {}, words.products), h("ul", { class: "grid" }, ...words.list.map(productCard)))),
    h("footer", {}, h("span", {}, words.footer), h("a", { attrs: { href: "/agent" } }, words.console)));
}

document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
document.title = words.title;
document.body.append(h("p", { class: "ribbon" }, words.ribbon), page());
