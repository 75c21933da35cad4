import { oneOf } from "../demand";
import type { Branch } from "./branches";

/**
 * How a network carries passports: `plain` not at all; `v1`, `v2`, `v3` as DeepIPR's schemes
 * (passports given away with the network; a private branch; a private branch and a trigger set);
 * `pan` by passport-aware normalisation (a private branch behind an FC, with statistics of its
 * own).
 */
export type Scheme = "plain" | "v1" | "v2" | "v3" | "pan";

/** What a scheme is made of. */
interface SchemeParts {
  /** Branches there are; the first is the one that is given away. */
  readonly branches: readonly Branch[];
  /** γ and β go through the shared FC, unless it is left out. */
  readonly fc: boolean;
  /** Training sees the owner's trigger samples too. */
  readonly triggers: boolean;
}

const TWO = ["public", "private"] as const;
const V2: SchemeParts = { branches: TWO, fc: false, triggers: false };
const SCHEME_PARTS: Readonly<Record<Scheme, SchemeParts>> = {
  plain: { branches: ["public"], fc: false, triggers: false },
  v1: { branches: ["passport"], fc: false, triggers: false },
  v2: V2,
  v3: { ...V2, triggers: true },
  pan: { branches: TWO, fc: true, triggers: false },
};

/** All schemes. */
export const SCHEMES = Object.keys(SCHEME_PARTS) as readonly Scheme[];

/** Those with passports. */
export const PASSPORT_SCHEMES = SCHEMES.filter((s): s is Exclude<Scheme, "plain"> => s !== "plain");

/** @throws ArgumentError for a scheme that is none: it may come from a caller without types. */
const partsOf = (scheme: Scheme): SchemeParts => SCHEME_PARTS[oneOf("scheme", "its name", scheme, SCHEMES)];

/** The branches a scheme has; the first is the one that is given away. */
export const branchesOf = (scheme: Scheme): readonly Branch[] => partsOf(scheme).branches;

/** The branch that passports open: the last one. */
export const secretBranch = (scheme: Scheme): Branch => branchesOf(scheme).at(-1)!;

/** Whether training needs the owner's trigger samples: what `v3` has more than `v2`. */
export const needsTriggers = (scheme: Scheme): boolean => partsOf(scheme).triggers;

/** The scheme of a network that is trained without triggers. */
export const withoutTriggers = (scheme: Scheme): Scheme => (needsTriggers(scheme) ? "v2" : scheme);

/**
 * Whether γ and β go through the shared FC: in passport-aware normalisation alone, unless it is
 * left out.
 */
export const hasFc = ({ scheme, fc = true }: { scheme: Scheme; fc?: boolean | undefined }): boolean =>
  partsOf(scheme).fc && fc;
