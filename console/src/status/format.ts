import type { Panel } from "./panels.gen.ts";

/** format prints a value in its unit, short enough for an axis. */
export function format(value: number | null | undefined, unit: Panel["unit"]): string {
  if (value === null || value === undefined) return "–";
  switch (unit) {
    case "s":
      return scaled(value, [[1, " s"], [1e-3, " ms"], [1e-6, " µs"]]);
    case "bytes":
      return scaled(value, [[2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]]);
    case "percentunit":
      return `${digits(value * 100)} %`;
    case "ops":
      return `${scaled(value, [[1e6, " M"], [1e3, " k"], [1, ""]])}/s`;
    case "short":
      return scaled(value, [[1e6, " M"], [1e3, " k"], [1, ""]]);
  }
}

function scaled(value: number, steps: readonly [number, string][]): string {
  if (value === 0) return "0";
  const [size, name] = steps.find(([s]) => Math.abs(value) >= s) ?? steps.at(-1) ?? [1, ""];
  return digits(value / size) + name;
}

function digits(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
