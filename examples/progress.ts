import type { Progress } from "@pan/core/train";
import { type Options, SingleBar } from "cli-progress";

/** Seconds as m:ss. */
function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A bar on a terminal; a line every ten seconds where output goes to a file. */
export const progressBar = (format: string, options: Options = {}): SingleBar =>
  new SingleBar({
    format,
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    noTTYOutput: !process.stderr.isTTY,
    notTTYSchedule: 10_000,
    ...options,
  });

/**
 * A bar with rate and time left on a terminal; a line every ten seconds where output goes to a
 * file.
 */
export class TrainingBar {
  readonly #bar = progressBar(
    "training {bar} {percentage} %  epoch {epoch}/{epochs}  loss {loss}  {rate} images/s  {left} left",
    { hideCursor: true, linewrap: false },
  );
  #started: { at: number; step: number } | null = null;

  constructor(
    private readonly epochs: number,
    private readonly batchSize: number,
  ) {}

  update({ step, steps, epoch, record }: Progress): void {
    if (!this.#started) {
      // The first reading comes after the kernels were compiled: the rate counts from here.
      this.#started = { at: performance.now(), step };
      this.#bar.start(steps, step, {
        epoch,
        epochs: this.epochs,
        loss: record.loss.toFixed(2),
        rate: "…",
        left: "?:??",
      });
      return;
    }
    const perStep = (performance.now() - this.#started.at) / 1000 / Math.max(1, step - this.#started.step);
    this.#bar.update(step, {
      epoch,
      loss: record.loss.toFixed(2),
      rate: Math.round(this.batchSize / perStep),
      left: clock((steps - step) * perStep),
    });
  }

  /** A line above the bar. */
  line(text: string): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    console.log(text);
  }

  stop(): void {
    this.#bar.stop();
  }
}
