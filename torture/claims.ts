/**
 * Claims of ownership for `mutants`: a true one, ways to change it, and what cannot hold any more,
 * computed apart from the package.
 */

import type { Generator, HostTensor, SafetensorsFile, StateDict } from "@pan/core";
import { SGD } from "@pan/core/optim";
import { bind, boundCredential, commit, type VerifyOptions } from "@pan/core/ownership";
import { evaluate, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { networkLayers } from "../src/models/described/network";
import { type Bundle, encodeBundle } from "../src/signing/bundle";
import { publicKeyPem } from "../src/signing/keys";
import { authority } from "../test/support/owner";
import { changed, json, pick } from "./mutate";
import { changedState } from "./readers-device";
import { signer } from "./samples";
import { images, MARKED } from "./tiny";

/** Two files and the options they are checked with. */
export interface Claim {
  suspect: SafetensorsFile;
  owner: SafetensorsFile;
  options: VerifyOptions;
  /** What was done to it. */
  edits: readonly string[];
}

/** A claim that holds as released, and what it was made of. */
export interface TrueClaim {
  released: SafetensorsFile;
  credential: SafetensorsFile;
  /** Signed, and stamped at {@link STAMPED}. */
  commitment: Bundle;
  /** Certificate of the authority. */
  root: Uint8Array;
  test: NonNullable<VerifyOptions["test"]>;
  /** Measured accuracy of the branch that the passports open. */
  accuracy: number;
}

export const STAMPED = "2026-01-01T00:00:00Z";
const PUBLISHED = "2026-06-01T00:00:00Z";

/** What a verifier has beside the two files, all of it. */
export const anchorOf = ({ released, commitment, root }: TrueClaim) => ({
  released,
  commitment,
  roots: [root],
  published: PUBLISHED,
});

/** Trains a small network until its signature is embedded. */
export async function trueClaim(): Promise<TrueClaim> {
  const model = buildNetwork(MARKED, { seed: 4 });
  const binding = {
    statement: "Trained by nobody",
    secret: "0123456789abcdef".repeat(4),
    publicKey: publicKeyPem(signer.publicKey),
  };
  await bind(model, binding);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5 });
  for await (const _ of trainer.fit(images(120, 1), { epochs: 12 }));
  const test = images(30, 2);
  const claimed = await evaluate(model, test);
  const released = await model.deployed();
  const credential = await boundCredential(await model.credential(claimed), binding);
  optimizer.dispose();
  model.dispose();
  const { root, stamp } = await authority();
  const commitment = await stamp(await commit(credential, released, signer), STAMPED);
  return { released, credential, test, accuracy: claimed.private!, commitment, root };
}

type Edit = (random: Generator, claim: Claim, truth: TrueClaim) => Claim;

const tensorsOf = (file: SafetensorsFile, change: (tensors: StateDict) => StateDict): SafetensorsFile => ({
  ...file,
  tensors: change(file.tensors),
});

/** A tensor with other numbers. */
const numbers = (state: StateDict, name: string, f: (v: number, i: number) => number): StateDict => {
  const t = state.get(name);
  if (!(t?.data instanceof Float32Array)) return state;
  return new Map(state).set(name, { ...t, data: (t.data as Float32Array).map(f) });
};

const names = (state: StateDict, end: RegExp): string[] => [...state.keys()].filter((name) => end.test(name));

/** Odd values for any option. */
const ODD: readonly unknown[] = [
  ...[
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    0,
    1,
    2,
    Number.MIN_VALUE,
    "0.1",
    "",
    null,
    true,
    [],
    {},
    () => 1,
    2n,
    undefined,
  ],
];

/** Options that the first version had, and that said what a claimant liked. */
export const GONE = ["requireBinding", "triggers", "reference"] as const;

const EDITS: Readonly<Record<string, Edit>> = {
  nothing: (_, claim) => claim,
  "filters negated": (random, claim) => {
    const weights = names(claim.suspect.tensors, /features\.[23]\.conv\.weight$/);
    if (!weights.length) return claim;
    const name = pick(random, weights);
    const { shape, data } = claim.suspect.tensors.get(name)!;
    const size = data.length / (shape[0] ?? 1);
    const hit = new Set(random.permutation(shape[0] ?? 0).slice(0, random.integer(40)));
    const change = (s: StateDict) => numbers(s, name, (v, i) => (hit.has(Math.floor(i / size)) ? -v : v));
    return { ...claim, suspect: tensorsOf(claim.suspect, change) };
  },
  "weights in noise": (random, claim) => {
    const name = pick(random, [...claim.suspect.tensors.keys()]);
    const std = 10 ** random.uniform(-4, 1);
    return { ...claim, suspect: tensorsOf(claim.suspect, (s) => numbers(s, name, (v) => v + random.normal(0, std))) };
  },
  "weights out of range": (random, claim) => {
    const name = pick(random, [...claim.suspect.tensors.keys()]);
    const odd = pick(random, [Number.NaN, Number.POSITIVE_INFINITY, 0, 3e38, -3e38, 1e-45]);
    const one = random.integer(2) ? random.integer(8) : -1;
    const change = (s: StateDict) => numbers(s, name, (v, i) => (one < 0 || i === one ? odd : v));
    return { ...claim, suspect: tensorsOf(claim.suspect, change) };
  },
  "suspect's tensors": (random, claim) => ({
    ...claim,
    suspect: tensorsOf(claim.suspect, (s) => changedState(random, s)),
  }),
  "credential's tensors": (random, claim) => ({
    ...claim,
    owner: tensorsOf(claim.owner, (s) => changedState(random, s)),
  }),
  "bits turned": (random, claim) => {
    const name = pick(random, ["features.2.bn.passport.b", "features.3.bn.passport.b"]);
    const at = random.integer(96);
    const odd = pick(random, [-1, 0, Number.NaN, 0.5]);
    return { ...claim, owner: tensorsOf(claim.owner, (s) => numbers(s, name, (v, i) => (i === at ? v * odd : v))) };
  },
  "passports changed": (random, claim) => {
    const passports = names(claim.owner.tensors, /\.passport\.s?key$/);
    if (!passports.length) return claim;
    const name = pick(random, passports);
    const by = 10 ** random.uniform(-6, 0);
    return { ...claim, owner: tensorsOf(claim.owner, (s) => numbers(s, name, (v) => v + by)) };
  },
  "credential's entries": (random, claim) => {
    const entry = pick(random, ["model", "passports", "claimed", "claim", "format"]);
    const metadata = { ...claim.owner.metadata };
    const old = metadata[entry] ?? "null";
    if (random.integer(8) === 0) delete metadata[entry];
    else metadata[entry] = entry === "format" ? json(changed(random, old)) : json(changed(random, JSON.parse(old)));
    return { ...claim, owner: { ...claim.owner, metadata } };
  },
  "suspect's entries": (random, claim) => {
    const old = claim.suspect.metadata["model"] ?? "null";
    return { ...claim, suspect: { ...claim.suspect, metadata: { format: "x", model: json(changed(random, old)) } } };
  },
  claims: (random, claim) => {
    const claimed = { public: random.uniform(), private: pick(random, [random.uniform(), 1e9, -1]) };
    return {
      ...claim,
      owner: { ...claim.owner, metadata: { ...claim.owner.metadata, claimed: JSON.stringify(claimed) } },
    };
  },
  commitment: (random, claim, { commitment }) => {
    const text = encodeBundle(commitment);
    const given = random.integer(2) ? json(changed(random, JSON.parse(text))) : pick(random, [text, commitment]);
    return { ...claim, options: { ...claim.options, commitment: given } };
  },
  "time stamps": (random, claim, { commitment }) => {
    const stamp = commitment.timestamps[0]!.slice();
    stamp[random.integer(stamp.length)]! ^= 1 << random.integer(8);
    const timestamps = pick(random, [[], [stamp], [stamp, commitment.timestamps[0]!]]);
    return { ...claim, options: { ...claim.options, commitment: { ...commitment, timestamps } } };
  },
  "a root of another": (random, claim, { root }) => ({
    ...claim,
    options: { ...claim.options, roots: pick(random, [[], [root.slice(1)], [root.subarray(0, 9), root]]) },
  }),
  "another date": (random, claim) => ({
    ...claim,
    options: { ...claim.options, published: pick(random, ["2025-01-01", STAMPED, new Date(), "2030-01-01T00:00Z"]) },
  }),
  "another released file": (random, claim, { released }) => ({
    ...claim,
    options: { ...claim.options, released: tensorsOf(released, (s) => changedState(random, s)) },
  }),
  "facts taken away": (random, { options, ...claim }) => {
    const fact = pick(random, ["commitment", "released", "roots", "published"] as const);
    return { ...claim, options: { ...options, [fact]: undefined } };
  },
  "test images": (_, claim, { test }) => ({ ...claim, options: { ...claim.options, test } }),
  "an odd option": (random, claim) => {
    const keys = [
      "model",
      "tolerance",
      "falsePositiveRate",
      "suspects",
      "test",
      "transform",
      "commitment",
      "released",
      "roots",
      "published",
      "possession",
      "suspectSha256",
      ...GONE,
    ];
    return { ...claim, options: { ...claim.options, [pick(random, keys)]: pick(random, ODD) } as VerifyOptions };
  },
  "files exchanged": (_, claim) => ({ ...claim, suspect: claim.owner, owner: claim.suspect }),
};

const EDIT_NAMES = Object.keys(EDITS);

/** The true claim, with all that anchors it or none of it, and with an edit or a few. */
export function mutantOf(random: Generator, truth: TrueClaim): Claim {
  const options = random.integer(4) ? anchorOf(truth) : {};
  let claim: Claim = { suspect: truth.released, owner: truth.credential, options, edits: [] };
  do {
    const name = pick(random, EDIT_NAMES);
    claim = { ...EDITS[name]!(random, claim, truth), edits: [...claim.edits, name] };
  } while (random.integer(2));
  return claim;
}

/**
 * Bits of the signature, and how many match at least and at most: γ that rounding could turn counts
 * as both.
 */
export interface Count {
  bits: number;
  least: number;
  most: number;
}

const layers = networkLayers(MARKED).filter((l) => l.name !== "features.0");
/** Bits that the text takes, at the front of its layer. */
const TEXT: Readonly<Record<string, number>> = { "features.3": 8 * 3 };
/**
 * What of a sum of single-precision products may be rounding; sums so small that a device may take
 * their terms for 0, and terms so large that it cannot add them.
 */
const ROUNDING = 1e-4;
const TINY = 1e-30;
const HUGE = 3e38;

/**
 * γ = avg(W * P) by its definition: the convolution's output, summed term by term in double
 * precision, and the sum of the terms' sizes.
 */
function gammas(
  weight: HostTensor,
  passport: HostTensor,
  { kernel, stride, padding, inputSize }: (typeof layers)[number],
) {
  const [outputs, inputs] = weight.shape as [number, number];
  const [h, w] = inputSize as [number, number];
  const out = (n: number) => Math.floor((n + 2 * padding - kernel) / stride) + 1;
  const means = new Float64Array(inputs * kernel * kernel);
  for (let i = 0, at = 0; i < inputs; i++)
    for (let u = 0; u < kernel; u++)
      for (let v = 0; v < kernel; v++, at++) {
        for (let y = 0; y < out(h); y++)
          for (let x = 0; x < out(w); x++) {
            const [r, c] = [y * stride + u - padding, x * stride + v - padding];
            if (r >= 0 && r < h && c >= 0 && c < w) means[at]! += Number(passport.data[(i * h + r) * w + c]);
          }
        means[at]! /= out(h) * out(w);
      }
  return Array.from({ length: outputs }, (_, o) => {
    let [sum, size, wiped] = [0, 0, true];
    for (let k = 0; k < means.length; k++) {
      if (Number(weight.data[o * means.length + k]) !== 0) wiped = false;
      const term = Number(weight.data[o * means.length + k]) * means[k]!;
      sum += term;
      size += Math.abs(term);
    }
    return { sum, size, wiped };
  });
}

/**
 * How the suspect's weights match the true credential, filters of zeros left aside; null where a
 * weight is not there as it was.
 */
export function matches(
  suspect: SafetensorsFile,
  { released, credential }: TrueClaim,
): { all: Count; bound: Count } | null {
  const [all, bound] = [0, 1].map((): Count => ({ bits: 0, least: 0, most: 0 })) as [Count, Count];
  for (const layer of layers) {
    const name = `${layer.name}.conv.weight`;
    const [found, own] = [suspect.tensors.get(name), released.tensors.get(name)!];
    if (found?.dtype !== "F32" || !(found.data instanceof Float32Array)) return null;
    if (found.shape.join() !== own.shape.join() || found.data.length !== own.data.length) return null;
    const bits = credential.tensors.get(`${layer.name}.bn.passport.b`)!.data;
    gammas(found, credential.tensors.get(`${layer.name}.bn.passport.skey`)!, layer).forEach(
      ({ sum, size, wiped }, o) => {
        // Of a filter of zeros nobody's bit is read.
        if (wiped) return;
        const unsure = !(Math.abs(sum) > Math.max(TINY, ROUNDING * size) && size < HUGE);
        const match = sum * Number(bits[o]) > 0;
        for (const count of o < (TEXT[layer.name] ?? 0) ? [all] : [all, bound]) {
          count.bits++;
          if (match && !unsure) count.least++;
          if (match || unsure) count.most++;
        }
      },
    );
  }
  return { all, bound };
}

/**
 * Fewest of n fair coins that show heads with this probability at most: Pascal's triangle in whole
 * numbers.
 */
export function threshold(n: number, rate: number): number {
  let row = [1n];
  for (let i = 0; i < n; i++) row = [1n, ...row.slice(1).map((c, j) => c + row[j]!), 1n];
  let tail = 0n;
  for (let k = n; k >= 0; k--) {
    tail += row[k]!;
    if (Number(tail) / 2 ** n > rate) return k + 1;
  }
  return 0;
}
