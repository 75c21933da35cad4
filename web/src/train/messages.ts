/** What the page and the worker that trains say to each other. */
import type { Verification } from "@pan/core/ownership";
import type { EpochRecord, Progress } from "@pan/core/train";
import type { Recipe } from "../../../examples/quickstart/recipe";

/** What to train, and what the owner says of it. */
export interface Plan extends Recipe {
  readonly statement: string;
  /** Of the sample's 3,000, and of the 1,000 to test with. */
  readonly images: number;
  readonly testImages: number;
}

export type Command =
  | {
      readonly kind: "start";
      readonly plan: Plan;
      readonly train: Uint8Array<ArrayBuffer>;
      readonly test: Uint8Array<ArrayBuffer>;
    }
  /** After the step at hand; `resume` goes on to the same bits as a run that was never paused. */
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  /** Signs the network as it is. */
  | { readonly kind: "finish" };

/** A file to download. */
export interface Made {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly about: string;
  readonly secret: boolean;
}

export type Told =
  | { readonly kind: "ready"; readonly adapter: string }
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "epoch"; readonly record: EpochRecord }
  | { readonly kind: "paused" }
  | { readonly kind: "signing" }
  | { readonly kind: "done"; readonly files: readonly Made[]; readonly found: Verification }
  | { readonly kind: "failed"; readonly error: string; readonly explained: boolean };
