import type { Answer } from "./answer.ts";

/** History keeps the answers of a panel over time, the oldest first, and at most so many of each. */
export class History {
  readonly times: number[] = [];
  private readonly lines = new Map<string, (number | null)[]>();

  constructor(
    private readonly most: number,
    private readonly maxLines = 24,
  ) {}

  /** add takes the answers of a moment. Series beyond the bound are left out, the smallest first. */
  add(at: number, answers: readonly Answer[]): void {
    this.times.push(at);
    const all = answers.flatMap((a) => [...a]).sort((a, b) => b[1] - a[1]);
    for (const [name] of all) {
      if (!this.lines.has(name) && this.lines.size < this.maxLines) this.lines.set(name, Array<null>(this.times.length - 1).fill(null));
    }
    const now = new Map(all);
    for (const [name, line] of this.lines) {
      const value = now.get(name);
      line.push(value === undefined || !Number.isFinite(value) ? null : value);
    }
    if (this.times.length > this.most) this.forget();
  }

  private forget(): void {
    this.times.shift();
    for (const [name, line] of this.lines) {
      line.shift();
      if (line.every((v) => v === null)) this.lines.delete(name);
    }
  }

  /** series gives the lines by name, those that were ever above zero first. */
  series(): { name: string; values: readonly (number | null)[] }[] {
    const out = [...this.lines].map(([name, values]) => ({ name, values, busy: values.some((v) => v !== null && v !== 0) }));
    return out.sort((a, b) => Number(b.busy) - Number(a.busy) || a.name.localeCompare(b.name)).map(({ name, values }) => ({ name, values }));
  }
}
