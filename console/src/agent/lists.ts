import type { Summary } from "../sdk/frames.ts";
import type { Store } from "../sdk/store.ts";
import type { Api } from "./api.ts";
import type { Filter } from "./filter.ts";
import { filters, found, inOrder, matches } from "./filter.ts";

const live = "pending,open,snoozed";
const done = "resolved,closed";

interface Cursor {
  next: string | undefined;
  loaded: boolean;
}

/** Lists fetches the conversations that the filters need and picks rows out of the store. */
export class Lists {
  loading = false;
  failed = false;
  private readonly cursors: Record<"live" | "done", Cursor> = { live: { next: undefined, loaded: false }, done: { next: undefined, loaded: false } };

  constructor(
    private readonly api: Api,
    private readonly store: Store,
    private readonly onChange: () => void,
  ) {}

  /** refresh reads the first page of what has been looked at, as after a lost connection. */
  async refresh(): Promise<void> {
    this.cursors.live.loaded = false;
    await this.load("live");
    if (this.cursors.done.loaded) {
      this.cursors.done.loaded = false;
      await this.load("done");
    }
  }

  /** need makes sure that a filter has its first page. */
  need(filter: Filter): void {
    const part = filter === "resolved" ? "done" : "live";
    if (!this.cursors[part].loaded && !this.loading) void this.load(part);
  }

  /** more fetches the next page for a filter. */
  async more(filter: Filter): Promise<void> {
    await this.load(filter === "resolved" ? "done" : "live");
  }

  /** hasMore reports whether the server holds more for a filter. */
  hasMore(filter: Filter): boolean {
    return this.cursors[filter === "resolved" ? "done" : "live"].next !== undefined;
  }

  /** rows gives what a filter shows, in order. */
  rows(filter: Filter, me: string, inbox: string, query: string): Summary[] {
    const all = [...this.store.heads.values()].filter((s) => s.inbox !== "" && matches(s, filter, me) && (inbox === "" || s.inbox === inbox) && found(s, query));
    return inOrder(all, filter);
  }

  /** counts gives how many conversations are under each filter. */
  counts(me: string, inbox: string): Record<Filter, number> {
    const out: Record<Filter, number> = { waiting: 0, mine: 0, all: 0, resolved: 0 };
    for (const s of this.store.heads.values()) {
      if (inbox !== "" && s.inbox !== inbox) continue;
      for (const f of filters) if (matches(s, f, me)) out[f]++;
    }
    return out;
  }

  private async load(part: "live" | "done"): Promise<void> {
    const cursor = this.cursors[part];
    this.loading = true;
    this.failed = false;
    this.onChange();
    try {
      const page = await this.api.conversations(part === "live" ? live : done, cursor.loaded ? cursor.next : undefined);
      for (const s of page.data) this.store.seed(s);
      cursor.next = page.meta?.has_more === true ? page.meta.next_cursor : undefined;
      cursor.loaded = true;
    } catch {
      this.failed = true;
    } finally {
      this.loading = false;
      this.onChange();
    }
  }
}
