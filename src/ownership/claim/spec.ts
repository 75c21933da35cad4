/**
 * What a claim says of itself, all of it hashed: whoever could still choose a part could choose
 * bits.
 */
import { isWellFormed, knownKeys, oneOf, refuse, text, texts, unexpected, whole, within } from "../../demand";
import { isObject } from "../../io/shown";
import type { PassportPlace } from "../../passport/place";
import { checkPlaces } from "../../passport/plan";
import { SCHEMES, type Scheme } from "../../passport/schemes";

/** Inputs of a network that are bound to a claim, and how they are given to it. JSON-able. */
export interface TriggerSpec {
  /**
   * `images` of bytes, or `clouds` of points; drawn from the claim's secret where they are not
   * `supplied`.
   */
  readonly kind: "images" | "clouds";
  /**
   * They are the owner's own, photographs or clouds of other classes. Their labels follow from all
   * of them together, so that whoever chooses them chooses no label.
   */
  readonly supplied?: true;
  /** [H, W, C] of an image; [points, 3] of a cloud. */
  readonly shape: readonly number[];
  /** Names of the classes, in the order of the network's outputs. */
  readonly classes: readonly string[];
  /** Triggers of a group. */
  readonly count: number;
  /**
   * Groups, each evidence by itself: one is opened in a dispute, since whoever has seen a group can
   * unlearn it.
   */
  readonly groups: number;
  /**
   * Rows and columns of the coarse grid that an image is enlarged from; 0 for clouds, and what is
   * supplied.
   */
  readonly grid: number;
  /** Per channel, what images are normalised by; null for bytes / 255, and for clouds. */
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] } | null;
}

/** Bytes that the stream of a point is expected to take. */
export const PER_POINT = 128;

/** Everything that a claim is about, its secret apart. JSON-able. */
export interface ClaimSpec {
  readonly version: 2;
  readonly scheme: Scheme;
  /** In the order of their names. */
  readonly places: readonly PassportPlace[];
  readonly triggers: TriggerSpec | null;
  /**
   * SubjectPublicKeyInfo of the owner's signing key, base64; null for a claim that nobody signs.
   */
  readonly publicKey: string | null;
  /** What the owner says of the network: name, terms. */
  readonly statement: string;
  /** SHA-512 of an earlier claim of the same owner, hexadecimal: that of the release before. */
  readonly parent: string | null;
}

const MOST = {
  pixels: 2 ** 22,
  samples: 2 ** 14,
  groups: 64,
  classes: 2 ** 16,
  statement: 2 ** 19,
  name: 512,
  /** Bytes of the streams that all groups are drawn from. */
  drawn: 2 ** 28,
};

/** @throws ArgumentError for a statement that is empty, no text, or longer than 2¹⁹ as JSON. */
export function checkStatement(what: string, statement: unknown): asserts statement is string {
  if (typeof statement !== "string" || statement === "" || !isWellFormed(statement))
    unexpected(`${what}: a statement, what the owner says of the network,`, statement);
  if (JSON.stringify(statement).length > MOST.statement)
    refuse(
      what,
      "statement",
      `at most ${MOST.statement} characters as JSON`,
      `${statement.length} characters`,
      "state the hash of a longer one",
    );
}

/** @throws ArgumentError for what describes no triggers. */
export function checkTriggerSpec(what: string, value: unknown): asserts value is TriggerSpec {
  if (!isObject(value))
    return unexpected(`${what}: triggers { kind, shape, classes, count, groups, grid, normalize }`, value);
  const keys = ["kind", "supplied", "shape", "classes", "count", "groups", "grid", "normalize"];
  knownKeys(`${what}: triggers`, value, keys);
  const { shape, classes, normalize, supplied } = value;
  if (supplied !== undefined && supplied !== true) refuse(what, "triggers.supplied", "true, or nothing", supplied);
  const kind = oneOf(what, "triggers.kind", value["kind"], ["images", "clouds"]);
  const rank = kind === "images" ? 3 : 2;
  if (!Array.isArray(shape) || shape.length !== rank || (kind === "clouds" && shape[1] !== 3))
    return refuse(what, "triggers.shape", kind === "images" ? "[height, width, channels]" : "[points, 3]", shape);
  shape.forEach((n, d) => whole(what, `triggers.shape[${d}]`, n));
  const size = (shape as number[]).reduce((a, b) => a * b);
  const names = texts(what, "triggers.classes", classes);
  if (names.length < 2 || names.length > MOST.classes || names.some((n) => n.length > MOST.name || !isWellFormed(n)))
    refuse(what, "triggers.classes", `a list of 2 to ${MOST.classes} names`, names);
  const count = whole(what, "triggers.count", value["count"]);
  const groups = within(what, "triggers.groups", whole(what, "triggers.groups", value["groups"]), 1, MOST.groups);
  if (count * groups > MOST.samples || size > MOST.pixels || size * count * groups > MOST.pixels * 64)
    refuse(what, "triggers", `at most ${MOST.samples} of at most ${MOST.pixels} numbers`, { shape, count, groups });
  const grid = whole(what, "triggers.grid", value["grid"], 0);
  const enlarged = kind === "images" && !supplied;
  if (enlarged ? grid < 2 || grid > 256 : grid !== 0)
    refuse(
      what,
      "triggers.grid",
      enlarged ? "a whole number from 2 to 256" : "0 for clouds, and what is supplied",
      grid,
    );
  const bytes = groups * count * (kind === "clouds" ? PER_POINT * shape[0]! : shape[2]! * grid * grid);
  if (!supplied && bytes > MOST.drawn)
    refuse(
      what,
      "triggers",
      `drawn from at most ${MOST.drawn} bytes in all groups`,
      bytes,
      "fewer, or of fewer points or cells",
    );
  if (normalize === null) return;
  const parts = isObject(normalize) ? normalize : unexpected(`${what}: triggers.normalize { mean, std }`, normalize);
  knownKeys(`${what}: triggers.normalize`, parts, ["mean", "std"]);
  for (const part of ["mean", "std"] as const) {
    const list: unknown = parts[part];
    const fits = kind === "images" && Array.isArray(list) && list.length === shape[2];
    if (!fits || !list.every((v) => Number.isFinite(v) && (part === "mean" || v > 0)))
      refuse(what, `triggers.normalize.${part}`, `a number per channel${part === "std" ? ", above 0" : ""}`, list);
  }
}

/** @throws ArgumentError for what describes no claim. */
export function checkClaimSpec(what: string, value: unknown): asserts value is ClaimSpec {
  if (!isObject(value)) return unexpected(`${what}: a description of a claim`, value);
  const keys = ["version", "scheme", "places", "triggers", "publicKey", "statement", "parent"];
  knownKeys(what, value, keys);
  const { version, places, triggers, publicKey, statement, parent } = value;
  if (version !== 2) refuse(what, "version", "2", version);
  oneOf(what, "scheme", value["scheme"], SCHEMES);
  checkPlaces(places);
  if (triggers !== null) checkTriggerSpec(what, triggers);
  checkStatement(what, statement);
  if (publicKey !== null && !/^[A-Za-z0-9+/]{40,2048}={0,2}$/.test(text(what, "publicKey", publicKey)))
    refuse(what, "publicKey", "a public key (SubjectPublicKeyInfo) in base64, or null", publicKey);
  if (parent !== null && !/^[0-9a-f]{128}$/.test(text(what, "parent", parent)))
    refuse(what, "parent", "the digest of an earlier claim, 128 hexadecimal digits, or null", parent);
}
