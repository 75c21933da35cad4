/** Curves that grow while a network is trained. */
import type { EpochRecord, StepRecord } from "@pan/core/train";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { el } from "../dom";

/** A colour of the style sheet, as it is now: uPlot draws on a canvas. */
const colour = (name: string) => () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

interface Line {
  readonly label: string;
  readonly colour: string;
  readonly dash?: number[];
}

/** One chart; `x` is the name of what goes to the right. */
class Chart {
  readonly element: HTMLElement;
  readonly #plot: uPlot;
  readonly #data: number[][];

  constructor(title: string, x: string, lines: readonly Line[], range?: uPlot.Range.MinMax) {
    this.#data = [[], ...lines.map(() => [])];
    const holder = el("div", { class: "plot", role: "img", "aria-label": title });
    const axis = {
      stroke: colour("muted"),
      grid: { stroke: colour("rule"), width: 1 },
      ticks: { stroke: colour("rule") },
    };
    this.#plot = new uPlot(
      {
        width: 300,
        height: 200,
        scales: { x: { time: false }, ...(range && { y: { range } }) },
        legend: { live: false },
        cursor: { show: false },
        series: [
          { label: x },
          ...lines.map(({ label, colour: name, dash }) => ({
            label,
            stroke: colour(name),
            width: 2,
            ...(dash && { dash }),
            ...(x === "epoch" && { points: { show: true } }),
          })),
        ],
        axes: [
          { ...axis, label: x, labelSize: 20 },
          { ...axis, size: 48 },
        ],
      },
      this.#data as unknown as uPlot.AlignedData,
      holder,
    );
    this.element = el("figure", { class: "chart" }, el("figcaption", {}, el("strong", {}, title)), holder);
    new ResizeObserver(([entry]) => {
      const { width } = entry!.contentRect;
      if (width > 0) this.#plot.setSize({ width, height: 200 });
    }).observe(holder);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  add(x: number, ...values: (number | undefined)[]): void {
    this.#data[0]!.push(x);
    values.forEach((value, i) => {
      this.#data[i + 1]!.push(value ?? Number.NaN);
    });
    this.#plot.setData(this.#data as unknown as uPlot.AlignedData);
  }
}

/** The curves of a run. */
export class Charts {
  readonly element: HTMLElement;
  readonly #losses = new Chart("Losses", "step", [
    { label: "total", colour: "muted" },
    { label: "public", colour: "good" },
    { label: "private", colour: "owner", dash: [6, 4] },
    { label: "sign", colour: "forged", dash: [2, 3] },
  ]);
  readonly #epochs = new Chart(
    "Test accuracy, and bits that fit",
    "epoch",
    [
      { label: "public", colour: "good" },
      { label: "private", colour: "owner", dash: [6, 4] },
      { label: "bits", colour: "forged", dash: [2, 3] },
    ],
    [0, 1],
  );

  constructor() {
    this.element = el("div", { class: "charts" }, this.#losses.element, this.#epochs.element);
  }

  step({ step, loss, publicLoss, privateLoss, signLoss }: StepRecord): void {
    this.#losses.add(step, loss, publicLoss, privateLoss, signLoss);
  }

  epoch(record: EpochRecord): void {
    const bits = record.bits ? record.bitsMatched / record.bits : undefined;
    this.#epochs.add(record.epoch, record.public, record.private, bits);
  }
}
