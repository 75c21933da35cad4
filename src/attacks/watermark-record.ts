/** Detection of a watermark and of a forged one on the same network; shares from 0 to 1. */
export interface WatermarkDetection {
  /** Test accuracy of the network on its task. */
  accuracy: number;
  /** Share of the owner's bits, or triggers, that are found, and of the forger's. */
  real: number;
  forged: number;
}

/** What became of one of the older methods (Table 2 of DeepIPR). JSON-able. */
export interface WatermarkRecord {
  method: "feature watermark" | "trigger set";
  /** Bits or triggers there are. */
  count: number;
  /** What the network was trained on, such as "CIFAR-10". */
  task: string;
  trained: WatermarkDetection;
  /** After fine-tuning, task by task. */
  fineTuned: ({ task: string } & WatermarkDetection)[];
  /** Steps the forger needed, and what they took. */
  forging: { steps: number; seconds: number };
  /**
   * Values of the owner's and the forged watermark whose distributions are compared: entries of X,
   * or pixels. A sample of some thousand each.
   */
  values: { real: number[]; forged: number[] };
  /** Probability that guessing finds as many of the owner's, and of the forger's. */
  pValue: { real: number; forged: number };
  seed: number;
}
