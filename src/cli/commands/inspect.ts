import { PanError } from "../../errors";
import { sha256Hex, sha512Hex } from "../../io/digest";
import { parseJson } from "../../io/json";
import { isObject } from "../../io/shown";
import { readCredential } from "../../models/credential";
import { boundBits } from "../../ownership/claim/derive";
import { claimOf, hasClaim } from "../../ownership/claim/own";
import { tensorsDigest } from "../../ownership/network-file";
import { CREDENTIAL, DEPLOYED, FIRST_CREDENTIAL, FIRST_DEPLOYED } from "../../passport/files";
import { decodeBundle } from "../../signing/bundle";
import type { Command, Outcome } from "../command";
import { readBytes } from "../files";
import type { Style, Terminal } from "../terminal";
import { documentIn, isPrivate, type Weights, weightsIn } from "../weights";
import { pairs, size } from "../words";

/** What files of this package call themselves, in words. */
const KINDS: Readonly<Record<string, string>> = {
  [DEPLOYED]: "the deployed half of a network: it may be given away",
  [FIRST_DEPLOYED]: "the deployed half of a network, of the first format: it may be given away",
  [CREDENTIAL]: "a credential, the owner's half of a network",
  [FIRST_CREDENTIAL]: "a credential, the owner's half of a network, of the first format",
};

/** Entries of metadata that say nothing private, whatever file they stand in. */
const OPEN: ReadonlySet<string> = new Set(["format", "model", "claimed"]);

export const inspect: Command = {
  name: "inspect",
  summary: "Says what a file is: which half of a network, its tensors, digests",
  operands: [{ name: "FILE", about: "weights, a credential, a checkpoint, a commitment, an opening" }],
  options: {},
  notes: ["Of private files no secret is printed: of their metadata the length alone."],
  async run(given, terminal) {
    const path = given.operand("FILE");
    const bytes = await readBytes(path);
    const document = await documentIn(bytes, path);
    return document === undefined ? ofWeights(path, bytes, terminal) : ofDocument(path, document, bytes);
  },
};

/** What is found of a file, to be printed. */
interface Found {
  readonly kind: string;
  readonly private: boolean;
  readonly rows: readonly (readonly [string, string])[];
  readonly json: Readonly<Record<string, unknown>>;
  readonly tensors?: readonly (readonly [string, string])[];
  /** What the digests are of, where it is not all that was read. */
  readonly hashed?: string;
}

function outcome(
  path: string,
  { kind, private: secret, rows, json, tensors, hashed }: Found,
  digests: readonly string[],
): Outcome {
  const [sha256, sha512] = digests as [string, string];
  const of = hashed === undefined ? "" : ` of ${hashed}`;
  const all = [...rows, [`SHA-256${of}`, sha256] as const, [`SHA-512${of}`, sha512] as const];
  return {
    code: 0,
    json: { file: path, kind, private: secret, ...json, sha256, sha512 },
    text: (style: Style) =>
      [
        `${style.bold(path)}: ${kind}`,
        ...(secret
          ? [
              style.bad(
                style.bold(
                  "PRIVATE: whoever has this file can claim the network, or knows its passports. Never publish it.",
                ),
              ),
            ]
          : []),
        pairs(all),
        ...(tensors ? [`${style.bold("tensors")}\n${pairs(tensors)}`] : []),
      ].join("\n\n"),
  };
}

async function ofWeights(path: string, bytes: Uint8Array, terminal: Terminal): Promise<Outcome> {
  const weights = await weightsIn(bytes, path);
  const { tensors, metadata, container, notes } = weights;
  const secret = isPrivate(weights);
  const numbers = [...tensors.values()].reduce((n, { data }) => n + data.length, 0);
  const shown = Object.entries(metadata).map(([key, value]): readonly [string, string] => [
    `metadata ${key}`,
    secret && !OPEN.has(key)
      ? `${value.length} characters, not shown`
      : value.length > 200
        ? `${value.slice(0, 200)}…`
        : value,
  ]);
  const claim = await ofClaim(weights, terminal);
  const digest = await tensorsDigest(weights);
  const found: Found = {
    kind: kindOf(weights),
    private: secret,
    rows: [
      ["container", `${container}, ${size(weights.size)}`],
      ...notes.map((note) => ["note", note] as const),
      ["tensors", `${tensors.size}, ${numbers} numbers`],
      ...claim.rows,
      ...shown,
      ["digest of tensors", digest],
    ],
    json: {
      container,
      bytes: weights.size,
      notes,
      ...claim.json,
      metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => !secret || OPEN.has(key))),
      tensors: [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
      tensorsDigest: digest,
    },
    tensors: [...tensors].map(([name, { dtype, shape }]) => [name, `${dtype} [${shape.join(", ")}]`]),
    ...(weights.inParts && { hashed: "the index" }),
  };
  return outcome(path, found, [await sha256Hex(bytes), await sha512Hex(bytes)]);
}

function kindOf(weights: Weights): string {
  const { metadata } = weights;
  const format = metadata["format"];
  if (format !== undefined && KINDS[format] !== undefined) return KINDS[format];
  if (format?.startsWith("pan-checkpoint")) return "a checkpoint of a training run";
  if (format?.startsWith("pan-")) return `a file of this package, of format ${format}`;
  return isPrivate(weights) ? "weights that hold passports" : "weights of another program";
}

/** The public part of a credential's claim, and whether it holds together. */
async function ofClaim(weights: Weights, terminal: Terminal) {
  const nothing = { rows: [] as (readonly [string, string])[], json: {} };
  const format = weights.metadata["format"];
  if (format !== CREDENTIAL && format !== FIRST_CREDENTIAL) return nothing;
  try {
    const info = readCredential(weights);
    const places = `${info.places.length} (${info.places.map((p) => p.norm).join(", ")})`;
    const rows: (readonly [string, string])[] = [
      ["scheme", info.scheme],
      ["passports", places],
    ];
    if (!hasClaim(weights))
      return { rows: [...rows, ["claim", "none of version 2"] as const], json: { scheme: info.scheme, claim: null } };
    terminal.step("working out what follows from the claim");
    const { spec } = await claimOf(weights, info);
    const { statement, triggers, publicKey, parent } = spec;
    const asked = triggers ? `${triggers.groups} groups of ${triggers.count} ${triggers.kind}` : "none";
    return {
      rows: [
        ...rows,
        ["claim", `${JSON.stringify(statement)}: it follows from its secret`] as const,
        ["bits", `${boundBits(spec)}`] as const,
        ["triggers", asked] as const,
        ["public key", publicKey ?? "none: nobody can sign a commitment"] as const,
        ...(parent === null ? [] : [["parent", parent] as const]),
      ],
      json: { scheme: info.scheme, claim: { statement, bits: boundBits(spec), triggers, publicKey, parent } },
    };
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    return { rows: [["broken", cause.message] as const], json: { broken: cause.message } };
  }
}

/** Most characters of JSON that is looked at. */
const LONGEST = 2 ** 26;

async function ofDocument(path: string, value: unknown, bytes: Uint8Array): Promise<Outcome> {
  const digests = [await sha256Hex(bytes), await sha512Hex(bytes)];
  const opening = isObject(value) && value["format"] === "pan-opening-2";
  if (opening)
    return outcome(
      path,
      {
        kind: "an opened group of triggers",
        private: false,
        rows: [["group", String(value["group"])]],
        json: { group: value["group"] },
      },
      digests,
    );
  const bundle = decodeBundle(new TextDecoder().decode(bytes));
  const statement: unknown = parseJson(
    new TextDecoder().decode(bundle.envelope.payload),
    `${path}: its statement`,
    LONGEST,
  );
  const { predicate = {}, subject = [] } = isObject(statement) ? statement : {};
  const said = isObject(predicate) ? predicate : {};
  const [first] = (Array.isArray(subject) ? subject : []) as { name?: string; digest?: { sha256?: string } }[];
  const stamps = bundle.timestamps.length;
  return outcome(
    path,
    {
      kind: "a commitment, to be published (its signature was not verified here: `pan verify` does it)",
      private: false,
      rows: [
        ["statement", JSON.stringify(said["statement"] ?? null)],
        ["released file", `${first?.name ?? "unnamed"}, SHA-256 ${first?.digest?.sha256 ?? "missing"}`],
        ["bits", String(said["bits"])],
        ["time stamps", `${stamps}${stamps ? "" : ": nothing dates it yet"}`],
      ],
      json: { statement, stamps },
    },
    digests,
  );
}
