/** What is worked out beside the page, and what comes back. */
import type { Judgment, Verification } from "@pan/core/verify";
import type { NetworkFiles } from "./networks";
import type { Answer } from "./possession";

export interface VerifyJob {
  readonly kind: "verify";
  readonly suspect: NetworkFiles;
  readonly credential: File;
  readonly commitment?: File | undefined;
  readonly released?: NetworkFiles | undefined;
  readonly base?: NetworkFiles | undefined;
  /** What the claim's key answered to a nonce. */
  readonly answer?: Answer | undefined;
  readonly roots: readonly File[];
  readonly published?: string | undefined;
  readonly suspectSha256?: string | undefined;
  readonly suspects?: number | undefined;
}

/** One side of a dispute. */
export interface Side {
  readonly credential: File;
  readonly released: NetworkFiles;
  readonly commitment: File;
}

export interface JudgeJob {
  readonly kind: "judge";
  readonly a: Side;
  readonly b: Side;
  readonly roots: readonly File[];
  readonly suspect?: NetworkFiles | undefined;
  readonly base?: NetworkFiles | undefined;
}

export type Job = VerifyJob | JudgeJob;
export type ResultOf<J extends Job> = J extends VerifyJob ? Verification : Judgment;

/** `explained`: the error is one of the package's own, and its message says what to do. */
export type Reply =
  | { readonly value: Verification | Judgment }
  | { readonly error: string; readonly explained: boolean };
