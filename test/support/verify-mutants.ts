/**
 * Mutants of a claim, with what `verify` must make of each: an oracle that a torture run can ask as
 * often as it likes.
 */
import type { SampleSet } from "../../src/data/sample-set";
import { PanError } from "../../src/errors";
import { type HostTensor, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { type Commitment, type Verification, type VerifyOptions, verify } from "../../src/ownership";
import { Generator } from "../../src/tensor/random";
import { EDITS, floats } from "./edits";

/**
 * `same verdict`: holds, with the same bits; `must not hold`: a verdict that is no, or a typed
 * error; `typed error`: nothing else; `no raw error`: any verdict or typed error.
 */
export type Outcome = "same verdict" | "must not hold" | "typed error" | "no raw error";

export interface Mutant {
  /** Says how to make it again: kind and seed. */
  name: string;
  expected: Outcome;
  suspect: SafetensorsFile;
  credential: SafetensorsFile;
  options: VerifyOptions;
}

/**
 * A claim that holds: a trained network, its bound credential, images that both branches classify.
 */
export interface MutantSource {
  deployed: SafetensorsFile;
  credential: SafetensorsFile;
  test: SampleSet;
  commitment: Commitment;
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
const PASSPORT = /key_private$/;

/** Every kind of mutation; a torture run may name one. */
export const MUTATIONS: Readonly<Record<string, { expected: Outcome; mutate: Mutation }>> = {
  "edits that change no weight": {
    expected: "same verdict",
    mutate: inSuspect((file, random) => {
      let edited = file;
      for (let n = 1 + random.integer(3); n > 0; n--) edited = pick(random, HARMLESS)(edited);
      return edited;
    }),
  },
  "options that ask for no more": {
    expected: "same verdict",
    mutate: option((random, { commitment }) =>
      pick(random, [
        { commitment },
        { tolerance: random.uniform(0.03, 1) },
        { requireBinding: true },
        { requireBinding: false },
        { test: undefined, commitment: undefined, reference: undefined },
        { falsePositiveRate: 10 ** -random.uniform(1, 7) },
      ]),
    ),
  },
  "an edited reference": {
    expected: "same verdict",
    mutate: (parts, random, { deployed }) => ({
      ...parts,
      options: { ...parts.options, reference: pick(random, HARMLESS)(deployed) },
    }),
  },
  "the credential's tensors in another order or type": {
    expected: "same verdict",
    mutate: inCredential((file, random) => {
      const all = [...file.tensors];
      const order = [...random.permutation(all.length)].map((i) => all[i]!);
      const wide = order.map(([n, t]): [string, HostTensor] =>
        t.dtype === "F32" ? [n, { ...t, dtype: "F64", data: Float64Array.from(toFloat32(t)) }] : [n, t],
      );
      return { ...file, tensors: new Map(random.integer(2) ? order : wide) };
    }),
  },
  "numbers of one filter that are not finite": {
    expected: "no raw error",
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
  "other weights": { expected: "must not hold", mutate: inSuspect(everyTensor(WEIGHT, allRandom)) },
  "half of the filters negated": {
    expected: "must not hold",
    mutate: inSuspect(
      everyTensor(/^features\.[23]\.conv\.weight$/, (t) => {
        const each = t.data.length / t.shape[0]!;
        const values = toFloat32(t);
        return floats(t.shape, (i) => (Math.floor(i / each) % 2 ? -values[i]! : values[i]!));
      }),
    ),
  },
  "no binding": {
    expected: "must not hold",
    mutate: inCredential(({ tensors, metadata: { binding: _, ...metadata } }) => ({ tensors, metadata })),
  },
  "another's passports and bits without a binding": {
    expected: "must not hold",
    mutate: (parts, random) => {
      const { binding: _, ...metadata } = parts.credential.metadata;
      const passports = everyTensor(PASSPORT, allRandom)({ ...parts.credential, metadata }, random);
      const credential = everyTensor(/\.b$/, (t) => floats(t.shape, () => (random.integer(2) ? 1 : -1)))(
        passports,
        random,
      );
      return { ...parts, credential, options: { requireBinding: false } };
    },
  },
  "a boast": {
    expected: "must not hold",
    mutate: (parts, random, { test }) => ({
      ...parts,
      credential: withEntry(parts.credential, "claimed", JSON.stringify({ private: random.uniform(0, 0.5) })),
      options: { ...parts.options, test },
    }),
  },
  "a private branch at chance": {
    expected: "must not hold",
    mutate: (parts, random, { test }) => {
      const credential = everyTensor(/fc\.2\.weight$/, (t) => floats(t.shape, () => 0))(parts.credential, random);
      return { ...parts, credential: withEntry(credential, "claimed", "{}"), options: { ...parts.options, test } };
    },
  },
  "another's commitment": {
    expected: "must not hold",
    mutate: option((random, { commitment }) => ({
      commitment: { ...commitment, claim: Array.from({ length: 128 }, () => random.integer(16).toString(16)).join("") },
    })),
  },
  "a changed passport, or bit": {
    expected: "typed error",
    mutate: inCredential((file, random) => {
      const name = nameOf(file, random, /(key_private|\.b)$/);
      return withTensor(
        file,
        name,
        oneChanged(file.tensors.get(name)!, random, (v) => (v === 0 ? 1 : -v)),
      );
    }),
  },
  "a weight that is missing, or of another shape": {
    expected: "typed error",
    mutate: inSuspect((file, random) => {
      const name = nameOf(file, random, WEIGHT);
      return withTensor(file, name, random.integer(2) ? undefined : reshaped(file.tensors.get(name)!));
    }),
  },
  "a tensor of the credential that is missing, too many, or of another shape": {
    expected: "typed error",
    mutate: inCredential((file, random) => {
      const name = nameOf(file, random, /(key_private|\.b|fc\.[02]\.weight|running_mean)$/);
      const value = pick(random, [undefined, reshaped(file.tensors.get(name)!)]);
      return random.integer(3) ? withTensor(file, name, value) : withTensor(file, "features.3.more", floats([1]));
    }),
  },
  "two networks in one file": {
    expected: "typed error",
    mutate: inSuspect((file, random) => {
      const other = everyTensor(WEIGHT, allRandom)(file, random);
      const named = [...other.tensors].map(([n, t]): [string, HostTensor] => [`other.${n}`, t]);
      return { ...file, tensors: new Map([...file.tensors, ...named]) };
    }),
  },
  "an entry of the credential that is garbage": {
    expected: "typed error",
    mutate: inCredential((file, random) =>
      withEntry(file, pick(random, ["format", "model", "claimed", "binding"]), pick(random, JSONS)),
    ),
  },
  "an option that is garbage": {
    expected: "typed error",
    mutate: option((random) => {
      const names = ["test", "triggers", "commitment", "requireBinding", "reference"];
      return { [pick(random, names)]: pick(random, GARBAGE) };
    }),
  },
  "a number that is none": {
    expected: "typed error",
    mutate: option((random) => ({
      [pick(random, ["tolerance", "falsePositiveRate"])]: pick(random, [Number.NaN, -1, 2, "0.5", null, [0.5], 1e308]),
    })),
  },
  "an option that is not known": {
    expected: "typed error",
    mutate: option((random) => ({ [pick(random, ["comitment", "Test", "tolerence", "x", "strict"])]: 1 })),
  },
  "a file that is none": {
    expected: "typed error",
    mutate: (parts, random) => {
      const bad = pick(random, [...GARBAGE, { tensors: {}, metadata: {} }, { tensors: new Map() }]);
      return { ...parts, [pick(random, ["suspect", "credential"])]: bad };
    },
  },
  "characters of the description exchanged": {
    expected: "no raw error",
    mutate: inCredential((file, random) => {
      const entry = pick(random, ["model", "claimed", "binding"]);
      const text = [...file.metadata[entry]!];
      for (let n = 1 + random.integer(3); n > 0; n--)
        text[random.integer(text.length)] = pick(random, [...'0123456789{}[]",:.-eE tfn\\\u0000']);
      return withEntry(file, entry, text.join(""));
    }),
  },
  "a tensor under another name or of another type": {
    expected: "no raw error",
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
    const [kind, { expected, mutate }] = kinds[i % kinds.length]!;
    const random = new Generator(seed).fork(`${kind} ${i}`);
    const parts = { suspect: source.deployed, credential: source.credential, options: {} };
    yield { name: `${kind}, seed ${seed}, number ${i}`, expected, ...mutate(parts, random, source) };
  }
}

/**
 * What is wrong about what `verify` makes of a mutant; null where nothing is.
 * @param before what it made of the claim itself
 */
export async function complaint(mutant: Mutant, before: Verification, limit = 5000): Promise<string | null> {
  const start = performance.now();
  const about = (what: string) => `${mutant.name} (${mutant.expected}): ${what}`;
  let found: Verification | null = null;
  try {
    found = await verify(mutant.suspect, mutant.credential, mutant.options);
  } catch (error) {
    if (!(error instanceof PanError)) return about(`a raw error: ${String((error as Error).stack)}`);
    if (error.message.length > 1000) return about(`a message of ${error.message.length} characters`);
    if (mutant.expected === "same verdict") return about(`refused: ${error.message}`);
  }
  const ms = performance.now() - start;
  if (ms > limit) return about(`took ${Math.round(ms)} ms`);
  if (!found) return null;
  if (mutant.expected === "typed error") return about("was accepted");
  if (mutant.expected === "must not hold" && found.holds) return about("holds");
  if (mutant.expected === "same verdict" && !(found.holds && found.matched === before.matched))
    return about(`holds ${found.holds}, ${found.matched} bits: ${found.reasons.join("; ")}`);
  return null;
}
