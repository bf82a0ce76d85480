/** What h takes as children: nodes, texts, or nothing. */
export type Child = Node | string | number | undefined | null | false;

type Handlers = { [K in keyof HTMLElementEventMap as `on${K}`]?: (event: HTMLElementEventMap[K]) => void };

export interface Props extends Handlers {
  class?: string;
  /** Attributes as they are written; undefined and false leave one out, true writes an empty one. */
  attrs?: Record<string, string | number | boolean | undefined>;
}

/** h makes an element. Texts become text nodes, so content can never become markup. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  const { class: className, attrs, ...handlers } = props;
  if (className !== undefined) el.className = className;
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value !== undefined && value !== false) el.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, handler] of Object.entries(handlers)) el.addEventListener(name.slice(2), handler as EventListener);
  el.append(...present(children));
  return el;
}

/** fill replaces what an element holds. */
export function fill(el: Element, ...children: Child[]): void {
  el.replaceChildren(...present(children));
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((c) => c !== undefined && c !== null && c !== false).map((c) => (typeof c === "number" ? String(c) : c));
}

/** toggle shows or hides an element by the hidden attribute. */
export function show(el: HTMLElement, visible: boolean): void {
  if (el.hidden === visible) el.hidden = !visible;
}

/** write sets a text without touching an equal one, so that live regions speak only of news. */
export function write(el: Element, text: string): void {
  if (el.textContent !== text) el.textContent = text;
}

/**
 * Keyed keeps the children of an element in step with a list: nodes are made
 * once per key, made again when their version changes, and moved, not rebuilt,
 * when the order does. Focus and selection in unchanged nodes survive.
 */
export class Keyed<T> {
  private nodes = new Map<string, { version: unknown; node: HTMLElement }>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly make: (item: T) => HTMLElement,
  ) {}

  /** update shows the items in order. version is compared by identity. */
  update(items: readonly { key: string; version: unknown; item: T }[]): void {
    const next = new Map<string, { version: unknown; node: HTMLElement }>();
    let cursor = this.parent.firstChild;
    for (const { key, version, item } of items) {
      const have = this.nodes.get(key);
      const node = have?.version === version && have !== undefined ? have.node : this.make(item);
      if (have !== undefined && have.node !== node && have.node === cursor) {
        cursor.replaceWith(node);
        cursor = node;
      }
      if (node !== cursor) this.parent.insertBefore(node, cursor);
      else cursor = cursor.nextSibling;
      next.set(key, { version, node });
    }
    while (cursor !== null) {
      const gone = cursor;
      cursor = cursor.nextSibling;
      gone.remove();
    }
    this.nodes = next;
  }
}
