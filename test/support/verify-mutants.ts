/**
 * Mutants of a claim, with what `verify` must make of each: an oracle that a torture run can ask as
 * often as it likes.
 */
import type { SampleSet } from "../../src/data/sample-set";
import { PanError } from "../../src/errors";
import { type HostTensor, toFloat32 } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import {
  type Possession,
  provePossession,
  type VerdictName,
  type Verification,
  type VerifyOptions,
  verify,
} from "../../src/ownership";
import { encodeBundle } from "../../src/signing/bundle";
import { Generator } from "../../src/tensor/random";
import type { Anchored } from "./anchored";
import { negated } from "./channels";
import { EDITS, floats } from "./edits";
import { signerFor } from "./owner";

/** Verdicts from the weakest up. */
const RANKS: readonly VerdictName[] = [
  "refused",
  "mark present",
  "copy of the committed network",
  "holds",
  "holds as released",
];
const isAbove = (a: VerdictName, b: VerdictName) => RANKS.indexOf(a) > RANKS.indexOf(b);

/**
 * A verdict: this one; `as before`: that of the claim itself, with the same bits; `still holds`:
 * the same but for the file, which may be another one; `no mark`: `refused`, or a copy by the test
 * of relation; `nothing`: `refused`, or a typed error;
 * `typed error`: nothing else; `within its facts`: any verdict that {@link ceiling} leaves, or a
 * typed error.
 */
export type Outcome =
  | VerdictName
  | "as before"
  | "still holds"
  | "no mark"
  | "nothing"
  | "typed error"
  | "within its facts";

export interface Mutant {
  /** Says how to make it again: kind and seed. */
  name: string;
  expected: Outcome;
  /** What the papers check must not pass either. */
  unfaithful: boolean;
  suspect: SafetensorsFile;
  credential: SafetensorsFile;
  options: VerifyOptions;
}

/** A claim that holds as released, and what somebody else has. */
export interface MutantSource {
  released: SafetensorsFile;
  credential: SafetensorsFile;
  /** Images that both branches classify. */
  test: SampleSet;
  anchor: Anchored;
  /** What `sha256sum` prints of the released file. */
  sha256: string;
  /** Answers of the claim's key, and of another one, to a nonce about the released file. */
  possessions: { own: Possession; other: Possession };
  /** Commitment and root of somebody who has another claim on the same file. */
  other: Anchored;
}

/** The answers of {@link MutantSource}. */
export async function possessionsOf(released: SafetensorsFile): Promise<MutantSource["possessions"]> {
  const nonce = "5".repeat(64);
  const [own, other] = [await signerFor("acme"), await signerFor("mallory")];
  return {
    own: await provePossession(own, nonce, released),
    other: await provePossession(other, nonce, released),
  };
}

type Parts = Pick<Mutant, "suspect" | "credential" | "options">;
type Mutation = (parts: Parts, random: Generator, source: MutantSource) => Parts;

const pick = <T>(random: Generator, list: readonly T[]): T => list[random.integer(list.length)]!;

const withTensor = (file: SafetensorsFile, name: string, value: HostTensor | undefined): SafetensorsFile => {
  const tensors = new Map(file.tensors);
  if (value) tensors.set(name, value);
  else tensors.delete(name);
  return { ...file, tensors };
};
const inSuspect =
  (f: (file: SafetensorsFile, random: Generator) => SafetensorsFile): Mutation =>
  (parts, random) => ({ ...parts, suspect: f(parts.suspect, random) });
const inCredential =
  (f: (file: SafetensorsFile, random: Generator) => SafetensorsFile): Mutation =>
  (parts, random) => ({ ...parts, credential: f(parts.credential, random) });
const withEntry = (file: SafetensorsFile, entry: string, value: string): SafetensorsFile => ({
  ...file,
  metadata: { ...file.metadata, [entry]: value },
});
const option =
  (make: (random: Generator, source: MutantSource) => object): Mutation =>
  (parts, random, source) => ({ ...parts, options: { ...parts.options, ...make(random, source) } });

const nameOf = (file: SafetensorsFile, random: Generator, like: RegExp): string =>
  pick(
    random,
    [...file.tensors.keys()].filter((n) => like.test(n)),
  );
const reshaped = (t: HostTensor): HostTensor => floats([t.shape[0]! + 1, ...t.shape.slice(1)]);
const oneChanged = (t: HostTensor, random: Generator, f: (v: number) => number): HostTensor => {
  const [values, at] = [toFloat32(t), random.integer(t.data.length)];
  return { dtype: "F32", shape: t.shape, data: Float32Array.from(values, (v, i) => (i === at ? f(v) : v)) };
};
const allRandom = (t: HostTensor, random: Generator): HostTensor => floats(t.shape, () => random.uniform(-1, 1));
const everyTensor =
  (like: RegExp, f: (t: HostTensor, random: Generator) => HostTensor) =>
  (file: SafetensorsFile, random: Generator): SafetensorsFile => ({
    ...file,
    tensors: new Map([...file.tensors].map(([n, t]) => [n, like.test(n) ? f(t, random) : t])),
  });

/** Every other filter negated, and what it does the same. */
const halfNegated = (file: SafetensorsFile): SafetensorsFile =>
  ["features.2", "features.3"].reduce((f, layer) => negated(f, layer, (channel) => channel % 2 === 1), file);
const unclaimed = ({ tensors, metadata: { claim: _, ...metadata } }: SafetensorsFile) => ({ tensors, metadata });
/** FC, statistics, accuracies, or the type that numbers are stored in. */
const exchanged = (file: SafetensorsFile, random: Generator): SafetensorsFile => {
  const name = nameOf(file, random, /\.passport\.(fc\.[02]\.weight|norm\.running_(mean|var))$/);
  const t = file.tensors.get(name)!;
  return pick(random, [
    () =>
      withTensor(
        file,
        name,
        oneChanged(t, random, (v) => v + 0.5),
      ),
    () => withTensor(file, name, { ...t, dtype: "F64", data: Float64Array.from(toFloat32(t)) }),
    () => withEntry(file, "claimed", JSON.stringify({ public: 1, private: random.uniform(0, 1) })),
    () => withEntry(file, "note", "x"),
  ])();
};

/** Exact edits alone: a rounding one may turn a bit, and every bit is asked for. */
const HARMLESS = Object.values(EDITS).flatMap(({ edit, exact = true }) => (exact ? [edit] : []));
const GARBAGE: readonly unknown[] = [null, 0, -1, "", "x", [], [[1]], { toString: 1 }, 5n, Number.NaN, () => 1];
const JSONS = [
  "",
  "null",
  "0",
  "[]",
  '"x"',
  "{",
  "[".repeat(1e4),
  '{"__proto__":1}',
  '{"arch":"resnet","blocks":[1,1000000000]}',
];
const WEIGHT = /^features\.\d\.conv\.weight$/;
const PASSPORT = /\.passport\.s?key$/;

/** A text with a character or a few exchanged for others. */
function misspelt(text: string, random: Generator, letters: string): string {
  const all = [...text];
  let out = text;
  while (out === text) {
    for (let n = 1 + random.integer(3); n > 0; n--) all[random.integer(all.length)] = pick(random, [...letters]);
    out = all.join("");
  }
  return out;
}

/** Strings of a bundle that say who signed what; those of its time stamps are apart. */
const SIGNED = ["payload", "payloadType", "sig", "keyid", "hint"];
const BASE64 = "ABCXYZabcxyz019+/=";
/** The bundle with one of these strings misspelt. */
const misspeltBundle = (bundle: Anchored["commitment"], fields: readonly string[], random: Generator): string => {
  const field = pick(random, fields);
  return encodeBundle(bundle).replace(
    new RegExp(`"${field}":"([^"]*)"`),
    (_, text: string) => `"${field}":"${misspelt(text, random, BASE64)}"`,
  );
};

interface Kind {
  expected: Outcome;
  unfaithful?: true;
  mutate: Mutation;
}

/** Every kind of mutation; a torture run may name one. */
export const MUTATIONS: Readonly<Record<string, Kind>> = {
  "edits that change no weight": {
    expected: "still holds",
    mutate: inSuspect((file, random) => {
      let edited = file;
      for (let n = 1 + random.integer(3); n > 0; n--) edited = pick(random, HARMLESS)(edited);
      return edited;
    }),
  },
  "options that ask for no more": {
    expected: "as before",
    mutate: option((random, { anchor, sha256, possessions }) =>
      pick(random, [
        { commitment: encodeBundle(anchor.commitment) },
        { tolerance: random.uniform(0.03, 1) },
        { suspects: 1 + random.integer(1000) },
        { suspectSha256: sha256 },
        { possession: possessions.own },
        { published: new Date(anchor.published) },
        { roots: [...anchor.roots, ...anchor.roots] },
        { test: undefined, possession: undefined, suspects: undefined },
        { falsePositiveRate: 10 ** -random.uniform(1, 7) },
      ]),
    ),
  },
  "the credential's tensors in another order": {
    expected: "as before",
    mutate: inCredential((file, random) => {
      const all = [...file.tensors];
      return { ...file, tensors: new Map([...random.permutation(all.length)].map((i) => all[i]!)) };
    }),
  },
  // Without a file that was committed to, or a date before the suspect's, a mark is a mark.
  "facts taken away": {
    expected: "mark present",
    mutate: option((random, { anchor }) =>
      pick(random, [
        { commitment: undefined },
        { released: undefined },
        { roots: undefined },
        { roots: [] },
        { published: undefined },
        { published: "2025-12-31T23:59:59Z" },
        { published: new Date(0) },
        { commitment: { ...anchor.commitment, timestamps: [] } },
      ]),
    ),
  },
  // A stamp is an authority's that the verifier trusts, over this very signature.
  "another root, or another's stamp": {
    expected: "mark present",
    mutate: option((random, { anchor, other }) =>
      pick(random, [{ commitment: { ...anchor.commitment, timestamps: other.commitment.timestamps } }]),
    ),
  },
  "a root that is no certificate": {
    expected: "typed error",
    mutate: option((random, { anchor: { roots } }) =>
      pick(random, [
        { roots: [new Uint8Array(roots[0]!.length)] },
        { roots: [roots[0]!.subarray(0, 40)] },
        { roots: ["no PEM"] },
      ]),
    ),
  },
  "a time stamp with a byte changed": {
    expected: "within its facts",
    mutate: option((random, { anchor: { commitment } }) => {
      const stamp = commitment.timestamps[0]!.slice();
      stamp[random.integer(stamp.length)]! ^= 1 << random.integer(8);
      return { commitment: { ...commitment, timestamps: [stamp] } };
    }),
  },
  "a bundle's payload, signature or key misspelt": {
    expected: "refused",
    mutate: option((random, { anchor }) => ({ commitment: misspeltBundle(anchor.commitment, SIGNED, random) })),
  },
  "a bundle's text misspelt anywhere": {
    expected: "within its facts",
    mutate: option((random, { anchor }) => ({
      commitment: misspelt(encodeBundle(anchor.commitment), random, `${BASE64}{}[]",: \\`),
    })),
  },
  "another's commitment, or another's signature under this one": {
    expected: "refused",
    mutate: option((random, { anchor: { commitment }, other }) => {
      const { signatures, payload } = other.commitment.envelope;
      return pick(random, [
        { commitment: other.commitment },
        { commitment: { ...commitment, envelope: { ...commitment.envelope, signatures } } },
        { commitment: { ...commitment, envelope: { ...commitment.envelope, payload } } },
      ]);
    }),
  },
  // The commitment is to the released file's bytes, and to its tensors.
  "another released file": {
    expected: "refused",
    mutate: (parts, random, { credential, released }) => {
      const other = pick(random, [
        withEntry(released, "note", "x"),
        everyTensor(WEIGHT, (t) => allRandom(t, random))(released, random),
        withTensor(released, "note", floats([1])),
        credential,
      ]);
      return { ...parts, options: { ...parts.options, released: other } };
    },
  },
  // Whoever has seen an opened credential has not the key; an answer is about one suspect.
  "another's possession": {
    expected: "refused",
    mutate: (parts, random, { possessions: { own, other } }) => {
      const signature = own.signature.slice();
      signature[random.integer(signature.length)]! ^= 1 << random.integer(8);
      const possession = pick(random, [other, { ...own, signature }, { ...own, nonce: "6".repeat(64) }, null]);
      if (possession) return { ...parts, options: { ...parts.options, possession } };
      return {
        ...parts,
        suspect: withEntry(parts.suspect, "note", "x"),
        options: { ...parts.options, possession: own },
      };
    },
  },
  "another suspect than the one that is meant": {
    expected: "refused",
    mutate: (parts, random, { sha256 }) =>
      random.integer(2)
        ? {
            ...parts,
            options: { ...parts.options, suspectSha256: sha256.replace(/./g, (c) => (c === "0" ? "1" : "0")) },
          }
        : {
            ...parts,
            suspect: withEntry(parts.suspect, "note", "x"),
            options: { ...parts.options, suspectSha256: sha256 },
          },
  },
  "numbers of one filter that are not finite": {
    expected: "within its facts",
    mutate: inSuspect((file, random) => {
      const name = nameOf(file, random, /features.*(weight|bias|running_var|running_mean)$/);
      const value = pick(random, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
      return withTensor(
        file,
        name,
        oneChanged(file.tensors.get(name)!, random, () => value),
      );
    }),
  },
  "other weights": { expected: "refused", mutate: inSuspect(everyTensor(WEIGHT, allRandom)) },
  // Too many bits are turned; that it is a copy, the other channels still show.
  "a quarter of a layer's filters negated": {
    expected: "copy of the committed network",
    mutate: inSuspect((file, random) => {
      const turned = 31 + random.integer(8);
      return negated(file, "features.3", (channel) => channel < turned);
    }),
  },
  "half of the filters negated": { expected: "no mark", mutate: inSuspect(halfNegated) },
  "half of the filters negated, and nothing committed to": {
    expected: "refused",
    mutate: (parts) => ({
      ...parts,
      suspect: halfNegated(parts.suspect),
      options: {},
    }),
  },
  "no claim": { expected: "refused", mutate: inCredential(unclaimed) },
  "another's passports and bits without a claim": {
    expected: "refused",
    unfaithful: true,
    mutate: inCredential((file, random) =>
      everyTensor(/\.b$/, (t) => floats(t.shape, () => (random.integer(2) ? 1 : -1)))(
        everyTensor(PASSPORT, allRandom)(unclaimed(file), random),
        random,
      ),
    ),
  },
  // The commitment is to the credential's bytes: what it says of the private branch is in it.
  "a boast": {
    expected: "refused",
    unfaithful: true,
    mutate: (parts, random, { test }) => ({
      ...parts,
      credential: withEntry(parts.credential, "claimed", JSON.stringify({ private: random.uniform(0, 0.5) })),
      options: { ...parts.options, test },
    }),
  },
  "a private branch at chance": {
    expected: "refused",
    unfaithful: true,
    mutate: (parts, random, { test }) => {
      const credential = everyTensor(/fc\.2\.weight$/, (t) => floats(t.shape, () => 0))(parts.credential, random);
      return { ...parts, credential: withEntry(credential, "claimed", "{}"), options: { ...parts.options, test } };
    },
  },
  "parts of the credential exchanged that no secret binds": {
    expected: "refused",
    mutate: inCredential(exchanged),
  },
  "parts of the credential exchanged, and nothing committed to": {
    expected: "mark present",
    mutate: (parts, random) => ({ ...parts, credential: exchanged(parts.credential, random), options: {} }),
  },
  "a changed passport, or bit": {
    expected: "refused",
    mutate: (parts, random) => {
      const name = nameOf(parts.credential, random, /\.passport\.(s?key|b)$/);
      const turned = oneChanged(parts.credential.tensors.get(name)!, random, (v) => (v === 0 ? 1 : -v));
      const credential = withTensor(parts.credential, name, turned);
      return { ...parts, credential, options: random.integer(2) ? parts.options : {} };
    },
  },
  "a weight that is missing, or of another shape": {
    expected: "no mark",
    mutate: inSuspect((file, random) => {
      const name = nameOf(file, random, WEIGHT);
      return withTensor(file, name, random.integer(2) ? undefined : reshaped(file.tensors.get(name)!));
    }),
  },
  "a tensor of the credential that is missing, too many, or of another shape": {
    expected: "typed error",
    mutate: inCredential((file, random) => {
      const name = nameOf(file, random, /\.passport\.(s?key|b|fc\.[02]\.weight|norm\.running_mean)$/);
      const value = pick(random, [undefined, reshaped(file.tensors.get(name)!)]);
      return random.integer(3)
        ? withTensor(file, name, value)
        : withTensor(file, "features.3.bn.passport.more", floats([1]));
    }),
  },
  "two networks in one file": {
    expected: "holds",
    mutate: inSuspect((file, random) => {
      const other = everyTensor(WEIGHT, allRandom)(file, random);
      const named = [...other.tensors].map(([n, t]): [string, HostTensor] => [`other.${n}`, t]);
      return { ...file, tensors: new Map([...file.tensors, ...named]) };
    }),
  },
  "an entry of the credential that is garbage": {
    expected: "typed error",
    mutate: inCredential((file, random) =>
      withEntry(file, pick(random, ["format", "model", "passports", "claimed"]), pick(random, JSONS)),
    ),
  },
  "a claim that is garbage": {
    expected: "refused",
    mutate: inCredential((file, random) => withEntry(file, "claim", pick(random, JSONS))),
  },
  "an option that is garbage": {
    expected: "typed error",
    mutate: option((random) => {
      const name = pick(random, [
        "test",
        "commitment",
        "released",
        "roots",
        "published",
        "possession",
        "suspectSha256",
      ]);
      // A text may be a bundle's: what it holds is looked at later.
      const means = (v: unknown) =>
        name === "roots" ? Array.isArray(v) && v.length === 0 : name === "commitment" && typeof v === "string";
      return {
        [name]: pick(
          random,
          GARBAGE.filter((v) => !means(v)),
        ),
      };
    }),
  },
  "a commitment that is no bundle": {
    expected: "refused",
    mutate: option((random) => ({ commitment: pick(random, JSONS) })),
  },
  "a number that is none": {
    expected: "typed error",
    mutate: option((random) => ({
      [pick(random, ["tolerance", "falsePositiveRate", "suspects"])]: pick(random, [
        Number.NaN,
        -1,
        1.5,
        "0.5",
        null,
        [0.5],
        1e308,
      ]),
    })),
  },
  "an option that is not known": {
    expected: "typed error",
    mutate: option((random) => ({
      [pick(random, ["comitment", "Test", "tolerence", "x", "strict", "requireBinding", "reference", "triggers"])]: 1,
    })),
  },
  "a file that is none": {
    expected: "typed error",
    mutate: (parts, random) => {
      const bad = pick(random, [...GARBAGE, { tensors: {}, metadata: {} }, { tensors: new Map() }]);
      return { ...parts, [pick(random, ["suspect", "credential"])]: bad };
    },
  },
  "characters of the description exchanged": {
    expected: "nothing",
    mutate: inCredential((file, random) => {
      const entry = pick(random, ["model", "passports", "claimed", "claim"]);
      return withEntry(file, entry, misspelt(file.metadata[entry]!, random, '0123456789{}[]",:.-eE tfn\\\u0000'));
    }),
  },
  "a tensor under another name or of another type": {
    expected: "within its facts",
    mutate: (parts, random) => {
      const side = pick(random, ["suspect", "credential"] as const);
      const { tensors } = parts[side];
      const [a, b] = [pick(random, [...tensors.keys()]), pick(random, [...tensors.keys()])];
      const [x, y] = [tensors.get(a)!, tensors.get(b)!];
      const bytes: HostTensor = { dtype: "U8", shape: x.shape, data: new Uint8Array(x.data.length).fill(1) };
      const changed = random.integer(2)
        ? [
            [a, y],
            [b, x],
          ]
        : [[a, bytes]];
      return {
        ...parts,
        [side]: { ...parts[side], tensors: new Map([...tensors, ...(changed as [string, HostTensor][])]) },
      };
    },
  },
};

/** Mutants of a claim without end, the kinds in turn; the same for the same seed. */
export function* verifyMutants(source: MutantSource, seed: number): IterableIterator<Mutant> {
  const kinds = Object.entries(MUTATIONS);
  for (let i = 0; ; i++) {
    const [kind, { expected, unfaithful = false, mutate }] = kinds[i % kinds.length]!;
    const random = new Generator(seed).fork(`${kind} ${i}`);
    const parts = { suspect: source.released, credential: source.credential, options: { ...source.anchor } };
    yield { name: `${kind}, seed ${seed}, number ${i}`, expected, unfaithful, ...mutate(parts, random, source) };
  }
}

const sameFile = (a: SafetensorsFile, b: SafetensorsFile): boolean => {
  const [x, y] = [encodeSafetensors(a.tensors, a.metadata), encodeSafetensors(b.tensors, b.metadata)];
  return Buffer.compare(x, y) === 0;
};

/**
 * The best verdict that facts allow, whatever the mutation was: a commitment is to the bytes of one
 * credential and one file, a date is an authority's, and a file is its bytes.
 */
function ceiling({ suspect, credential, options }: Parts, source: MutantSource): VerdictName {
  const { commitment, released, roots, published } = options;
  const alone = commitment === undefined || released === undefined;
  if (!sameFile(credential, source.credential)) return alone ? "mark present" : "refused";
  if (alone || !roots?.length || published === undefined) return "mark present";
  if (!sameFile(released as SafetensorsFile, source.released)) return "refused";
  return sameFile(suspect, source.released) ? "holds as released" : "holds";
}

/**
 * What is wrong about what `verify` makes of a mutant; null where nothing is.
 * @param before what it made of the claim itself
 */
export async function complaint(
  mutant: Mutant,
  source: MutantSource,
  before: Verification,
  limit = 5000,
): Promise<string | null> {
  const start = performance.now();
  const { expected } = mutant;
  const about = (what: string) => `${mutant.name} (${expected}): ${what}`;
  let found: Verification | null = null;
  try {
    found = await verify(mutant.suspect, mutant.credential, mutant.options);
  } catch (error) {
    if (!(error instanceof PanError)) return about(`a raw error: ${String((error as Error).stack)}`);
    if (error.message.length > 1000) return about(`a message of ${error.message.length} characters`);
    if (!["nothing", "typed error", "within its facts"].includes(expected)) return about(`an error: ${error.message}`);
  }
  const ms = performance.now() - start;
  if (ms > limit) return about(`took ${Math.round(ms)} ms`);
  if (!found) return null;
  const { verdict, sentence, bound, dated, mark, examination } = found;
  const said = `${verdict}: ${sentence}`;
  if (expected === "typed error") return about(`was accepted, ${said}`);
  if (isAbove(verdict, ceiling(mutant, source))) return about(`above its facts, ${said}`);
  if ((bound === null) !== (verdict === "refused")) return about(`a bound of ${bound}, ${said}`);
  if (dated && JSON.stringify(dated) !== JSON.stringify(before.dated)) return about(`dated ${dated.time}`);
  if (sentence.length > 1000 || !JSON.stringify(found)) return about("a verdict that nobody can read");
  if (mutant.unfaithful && examination?.passes !== false) return about("the examination passes");
  if (expected === "within its facts") return null;
  if (expected === "no mark")
    return mark?.found || !["refused", "copy of the committed network"].includes(verdict) ? about(said) : null;
  if (expected === "as before" || expected === "still holds") {
    const isAs = expected === "as before" ? verdict === before.verdict : verdict === ceiling(mutant, source);
    if (isAs && mark?.bits?.hits === before.mark!.bits!.hits) return null;
    return about(`${said}; ${found.reasons.join("; ")}`);
  }
  return verdict === (expected === "nothing" ? "refused" : expected) ? null : about(said);
}
