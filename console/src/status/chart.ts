import uPlot from "uplot";
import { h } from "../ui/dom.ts";
import { format } from "./format.ts";
import type { History } from "./history.ts";
import type { Panel } from "./panels.gen.ts";

const height = 170;

/** Chart draws the history of a panel. It is made anew when other series are shown. */
export class Chart {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "plot" });
  private plot: uPlot | undefined;
  private shown = "";

  constructor(
    private readonly panel: Panel,
    private readonly history: History,
  ) {
    this.element = h("figure", { class: "panel", attrs: { title: panel.about } }, h("figcaption", {}, panel.title), this.place);
  }

  /** update draws what the history has. */
  update(): void {
    const series = this.history.series();
    const { times } = this.history;
    // Beside a single sample stands the minute before: the axis would else show years.
    const before = times.slice(0, times.length === 1 ? 1 : 0).map((at) => at - 60);
    const data: uPlot.AlignedData = [[...before, ...times], ...series.map((s) => [...before.map(() => null), ...s.values])];
    const names = series.map((s) => s.name).join("\n");
    if (this.plot !== undefined && names === this.shown) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.shown = names;
    this.plot = new uPlot(this.options(series.map((s) => s.name)), data, this.place);
  }

  /** fit follows the width of the page. */
  fit(): void {
    this.plot?.setSize({ width: this.place.clientWidth, height });
  }

  private options(names: readonly string[]): uPlot.Options {
    const { unit } = this.panel;
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--muted").trim();
    const grid = { stroke: style.getPropertyValue("--line").trim(), width: 1 };
    return {
      width: Math.max(this.place.clientWidth, 200), height,
      scales: { y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.05 : 1] } },
      axes: [{ stroke: ink, grid }, { stroke: ink, grid, size: 64, values: (_, at) => at.map((v) => format(v, unit)) }],
      cursor: { sync: { key: "status" } },
      series: [{}, ...names.map((name, i) => ({ label: name, stroke: color(i), width: 1.5, spanGaps: false, value: (_: uPlot, v: number | null) => format(v, unit) }))],
    };
  }
}

/** color gives the i-th color of a series: hues far from each other, readable on light and dark. */
function color(i: number): string {
  return `hsl(${(175 + i * 137.5) % 360} 60% 48%)`;
}
