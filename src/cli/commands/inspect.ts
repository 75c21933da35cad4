import { PanError } from "../../errors";
import { sha256Hex, sha512Hex } from "../../io/digest";
import { parseJson } from "../../io/json";
import { isObject, shown } from "../../io/shown";
import { readCredential } from "../../models/credential";
import { CLAIM_PREDICATE } from "../../ownership/claim/commitment";
import { boundBits } from "../../ownership/claim/derive";
import { claimOf, hasClaim } from "../../ownership/claim/own";
import { tensorsDigest } from "../../ownership/network-file";
import { CREDENTIAL, DEPLOYED, FIRST_CREDENTIAL, FIRST_DEPLOYED } from "../../passport/files";
import { decodeBundle } from "../../signing/bundle";
import { textField } from "../../signing/fields";
import { MODEL_PREDICATE } from "../../signing/openssf";
import { decodeStatement } from "../../signing/statement";
import type { Command, Outcome } from "../command";
import { committedClaimOf } from "../commitment";
import { readBytes } from "../files";
import { line } from "../printable";
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
        `${style.bold(line(path))}: ${line(kind)}`,
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
  const told = Object.entries(metadata).map(([key, value]): readonly [string, string] => [
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
      ...told,
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
  if (format !== undefined && Object.hasOwn(KINDS, format)) return KINDS[format]!;
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
        rows: [["group", shown(value["group"])]],
        json: { group: value["group"] },
      },
      digests,
    );
  const bundle = decodeBundle(new TextDecoder().decode(bytes));
  const { payload } = bundle.envelope;
  const type = predicateTypeOf(payload, path);
  const statement = decodeStatement(payload, type);
  const [first] = statement.subject;
  const claim = type === CLAIM_PREDICATE ? committedClaimOf(statement.predicate) : null;
  const of = `${first!.name === "" ? "unnamed" : first!.name}, SHA-256 ${first!.digest.sha256 ?? "missing"}`;
  const stamps = bundle.timestamps.length;
  const unverified = "its signature was not verified here";
  return outcome(
    path,
    {
      kind: claim
        ? `a commitment, to be published (${unverified}: \`pan verify\` does it)`
        : type === MODEL_PREDICATE
          ? `a signature of a model (${unverified}: \`verifyModel\` does it)`
          : `a signed statement of another kind (${unverified})`,
      private: false,
      rows: [
        ...(claim
          ? ([
              ["statement", JSON.stringify(claim.statement)],
              ["released file", of],
              ["bits", String(claim.bits)],
            ] as const)
          : ([
              ["type", type],
              ["subject", of],
            ] as const)),
        ["time stamps", `${stamps}${stamps ? "" : ": nothing dates it yet"}`],
      ],
      json: { statement, stamps },
    },
    digests,
  );
}

/** What kind of statement signed bytes are. @throws FormatError for bytes that are none. */
function predicateTypeOf(payload: Uint8Array, path: string): string {
  const what = `${path}: its statement`;
  const statement = parseJson(new TextDecoder().decode(payload), what, LONGEST);
  return textField(isObject(statement) ? statement["predicateType"] : undefined, `${what}: predicateType`);
}
