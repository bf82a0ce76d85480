import { Refused } from "../sdk/session.ts";
import { fill, h, show } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import type { Api, Me } from "./api.ts";
import type { Words } from "./words.ts";

interface Field {
  name: string;
  label: string;
  type: string;
  autocomplete: string;
  hint?: string;
  minlength?: number;
}

interface FormOptions {
  title: string;
  text?: string;
  fields: Field[];
  button: string;
  busy: string;
  other: { label: string; hash: string };
  submit(values: Record<string, string>): Promise<void>;
  explain(err: unknown): string;
}

function form(o: FormOptions): HTMLElement {
  const problem = h("p", { class: "problem", attrs: { role: "alert" } });
  show(problem, false);
  const inputs = o.fields.map((f) => h("input", { attrs: { id: `f-${f.name}`, name: f.name, type: f.type, autocomplete: f.autocomplete, required: true, minlength: f.minlength, maxlength: 200, "aria-describedby": f.hint === undefined ? undefined : `h-${f.name}` } }));
  const button = h("button", { class: "primary wide", attrs: { type: "submit" } }, o.button);
  const el = h("form", { class: "card login", onsubmit: (event) => {
    event.preventDefault();
    show(problem, false);
    button.disabled = true;
    fill(button, o.busy);
    const values = Object.fromEntries(inputs.map((i) => [i.name, i.value]));
    o.submit(values).catch((err: unknown) => {
      fill(problem, o.explain(err));
      show(problem, true);
      button.disabled = false;
      fill(button, o.button);
      inputs.at(-1)?.focus();
    });
  } },
    h("span", { class: "logo", attrs: { "aria-hidden": "true" } }, icon("headset")),
    h("h1", {}, o.title),
    o.text === undefined ? null : h("p", { class: "soft" }, o.text),
    ...o.fields.map((f, i) => h("div", { class: "field" }, h("label", { attrs: { for: `f-${f.name}` } }, f.label), inputs[i], f.hint === undefined ? null : h("small", { attrs: { id: `h-${f.name}` } }, f.hint))),
    problem, button, h("a", { class: "other", attrs: { href: o.other.hash } }, o.other.label));
  setTimeout(() => inputs[0]?.focus(), 0);
  return h("main", { class: "gate" }, el);
}

/** loginPage asks for e-mail and password. */
export function loginPage(api: Api, words: Words, notice: string, onSigned: (me: Me) => void): HTMLElement {
  return form({
    title: words.loginTitle,
    ...(notice !== "" && { text: notice }),
    fields: [
      { name: "email", label: words.email, type: "email", autocomplete: "username" },
      { name: "password", label: words.password, type: "password", autocomplete: "current-password" },
    ],
    button: words.login,
    busy: words.loginBusy,
    other: { label: words.firstRun, hash: "#setup" },
    submit: async (v) => onSigned(await api.signIn((v["email"] ?? "").trim(), v["password"] ?? "")),
    explain: (err) => explain(err, words, words.loginBad),
  });
}

/** setupPage makes the first admin. */
export function setupPage(api: Api, words: Words, onSigned: (me: Me) => void): HTMLElement {
  return form({
    title: words.setupTitle,
    text: words.setupText,
    fields: [
      { name: "token", label: words.setupToken, type: "text", autocomplete: "off" },
      { name: "name", label: words.name, type: "text", autocomplete: "name" },
      { name: "email", label: words.email, type: "email", autocomplete: "username" },
      { name: "password", label: words.password, type: "password", autocomplete: "new-password", hint: words.passwordHint, minlength: 10 },
    ],
    button: words.setupDo,
    busy: words.loginBusy,
    other: { label: words.backToLogin, hash: "#" },
    submit: async (v) => onSigned(await api.setUp({ token: (v["token"] ?? "").trim(), name: (v["name"] ?? "").trim(), email: (v["email"] ?? "").trim(), password: v["password"] ?? "" })),
    explain: (err) => explain(err, words, words.setupBad),
  });
}

function explain(err: unknown, words: Words, refused: string): string {
  if (!(err instanceof Refused)) return words.loginDown;
  if (err.status === 401 || err.status === 403 || err.status === 404) return refused;
  if (err.status === 429) return words.loginMany;
  return err.status >= 500 ? words.loginDown : err.message;
}
