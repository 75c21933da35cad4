/** What the parent and a library's process say to each other. */
import type { AdapterClass } from "../../src/gpu/adapter";
import type { Row } from "./rows";

/** The libraries; the first is the one the others are compared with. */
export const LIBRARIES = ["ours", "tfjs", "jax"] as const;
export type LibraryName = (typeof LIBRARIES)[number];

/** Multiply-adds in registers, which `ours` alone can be asked for. */
export interface CeilingRow {
  kind: "ceiling";
  name: "ceiling";
}

/** First word of a process: the adapter that its library runs on. */
export interface Hello {
  hello: { description: string; kind: AdapterClass };
}

export type Request =
  /** Makes the inputs and runs the row for the first time; the answer is {@link Prepared}. */
  | { command: "prepare"; row: Row | CeilingRow }
  /** Runs the row so many times; the answer is milliseconds per run. */
  | { command: "run"; name: string; times: number }
  /** Runs the row once; the answer is {@link Counts}. */
  | { command: "counts"; name: string }
  /** Frees the row; the answer is null. */
  | { command: "dispose"; name: string };

export interface Prepared {
  /**
   * Result of the first run in channels-last order; of a training step the losses of the first
   * three.
   */
  outputs: Float32Array;
  /** Milliseconds of the first run, which compiles. */
  firstMs: number;
  /** Operations of one run of the ceiling, which depend on the adapter; null for other rows. */
  flop: number | null;
}

/** What one run asks of WebGPU. */
export interface Counts {
  dispatches: number;
  submits: number;
  /** Buffers created. */
  buffers: number;
}

/** Answers by command. */
export interface Answers {
  prepare: Prepared;
  run: number;
  counts: Counts;
  dispose: null;
}

export type Reply = { id: number; answer: Answers[Request["command"]] } | { id: number; error: string };
