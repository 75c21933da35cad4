import type { StateDict } from "../io/host-tensor";
import type { Module } from "../nn/module";
import type { PassportPlace } from "./place";
import type { Scheme } from "./schemes";
import type { SignatureText } from "./texts";

/** What of a network carries a secret, in words that files hold. */
export interface SecretPlan {
  readonly scheme: Scheme;
  /** γ and β go through an FC. */
  readonly fc: boolean;
  /** Whether batch norms with a passport keep running statistics for each branch, or one set. */
  readonly statistics: "separate" | "shared";
  readonly places: readonly PassportPlace[];
  /** Norms without a passport that each branch has for itself, by name. */
  readonly separate: readonly string[];
  readonly texts: readonly SignatureText[];
}

/**
 * What the networks of the papers add to an ordinary network, under this key: the description that
 * their files carry, and the authors' names.
 */
export const BUILT_IN = Symbol("a network of this package");

/** See `BUILT_IN`. */
export interface BuiltIn {
  readonly input: readonly number[];
  readonly classes: number;
  /** The description of the plain network as text, from which it can be built again. */
  model(): string;
  /** The plain network's state with its norms folded into its maps, and the description of that. */
  fold(state: StateDict): { state: StateDict; model: string };
  /** What the protected network's state dict calls what stands at a path. */
  names(path: string, plan: SecretPlan): string;
  /**
   * A state dict of the authors' code as one that can be loaded, and what to say where it cannot.
   */
  prepare(dict: StateDict, plan: SecretPlan, owned: Module): { state: StateDict; hint: string };
}
