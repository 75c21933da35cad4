/**
 * Passports trained by a forger: the loss against a plain computation, and the credential that
 * comes out of it.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { type AttackRecord, type PassportVariant, type Target, trainPassports } from "../../src/attacks";
import { type Forgery, forgeryLoss, passportsOf } from "../../src/attacks/passport-forgery";
import type { ForgedPassports } from "../../src/attacks/train-passports";
import { NanLossError } from "../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { buildNetwork, type ConvNetConfig, readCredential } from "../../src/models";
import { examine, rejoin, verify } from "../../src/ownership";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { fileBytes, scattered, stored } from "../support/bytes";
import { forgeWatched } from "../support/forged";
import { gpu } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

/** One passport layer and a classifier: 2 channels of 4×4 → 8 channels, 3 classes; 5 images. */
const [SIZE, IN, OUT, CLASSES, BATCH] = [4, 2, 8, 3, 5];
const AREA = SIZE * SIZE;
const ONE: ConvNetConfig = {
  classes: CLASSES,
  input: [SIZE, SIZE, IN],
  layers: [{ channels: OUT, kernel: 3, padding: 1 }],
  scheme: "pan",
  passports: { 0: true },
};
type Numbers = Float64Array;
/** What the forger changes; channels first, as in state dicts. */
interface Changed {
  skey: Numbers;
  key: Numbers;
  first: Numbers;
  second: Numbers;
}
interface Terms {
  ce: number;
  signs: number;
  distance: number;
}

/** W * x with padding 1, in float64. */
function convolve(w: Numbers, x: Numbers): Numbers {
  const out = new Float64Array(OUT * AREA);
  for (let o = 0; o < OUT; o++)
    for (let row = 0; row < SIZE; row++)
      for (let col = 0; col < SIZE; col++)
        for (let i = 0; i < IN; i++)
          for (let u = 0; u < 3; u++)
            for (let v = 0; v < 3; v++) {
              const [y, z] = [row + u - 1, col + v - 1];
              if (y < 0 || z < 0 || y >= SIZE || z >= SIZE) continue;
              out[o * AREA + row * SIZE + col]! += w[((o * IN + i) * 3 + u) * 3 + v]! * x[i * AREA + y * SIZE + z]!;
            }
  return out;
}

/** The mean of each channel of W * P. */
function channelMeans(w: Numbers, p: Numbers): Numbers {
  const h = convolve(w, p);
  return Float64Array.from({ length: OUT }, (_, o) => h.slice(o * AREA, (o + 1) * AREA).reduce((a, b) => a + b) / AREA);
}

/** What the forger lowers, term by term, by plain loops. */
function termsOf(state: StateDict, images: Numbers[], labels: number[], changed: Changed, owners: Changed): Terms {
  const read = (name: string) => Float64Array.from(toFloat32(state.get(name)!));
  const w = read("features.0.weight");
  const [mu, variance] = [read("features.0.bn1.running_mean"), read("features.0.bn1.running_var")];
  const [head, bias, bits] = [read("classifier.weight"), read("classifier.bias"), read("features.0.b")];
  const hidden = OUT / 4;
  const encode = (raw: Numbers): Numbers => {
    if (!changed.first.length) return raw;
    const units = Array.from({ length: hidden }, (_, h) => {
      let sum = 0;
      for (let o = 0; o < OUT; o++) sum += changed.first[h * OUT + o]! * raw[o]!;
      return sum > 0 ? sum : 0.01 * sum;
    });
    return raw.map((_, o) => units.reduce((sum, unit, h) => sum + changed.second[o * hidden + h]! * unit, 0));
  };
  const gammaRaw = channelMeans(w, changed.skey);
  const [gamma, beta] = [encode(gammaRaw), encode(channelMeans(w, changed.key))];
  let ce = 0;
  images.forEach((image, n) => {
    const h = convolve(w, image);
    const features = h.map((v, at) => {
      const o = Math.floor(at / AREA);
      return Math.max(0, (gamma[o]! * (v - mu[o]!)) / Math.sqrt(variance[o]! + 1e-5) + beta[o]!);
    });
    const logits = Array.from({ length: CLASSES }, (_, c) =>
      features.reduce((sum, f, at) => sum + head[c * OUT * AREA + at]! * f, bias[c]!),
    );
    const top = Math.max(...logits);
    ce += (Math.log(logits.reduce((sum, l) => sum + Math.exp(l - top), 0)) + top - logits[labels[n]!]!) / images.length;
  });
  const signs = gammaRaw.reduce((sum, g, o) => sum + 0.1 * Math.max(0, 0.1 - g * bits[o]!) + 1e-5 * g * g, 0);
  const apart = (a: Numbers, b: Numbers) => a.length / a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);
  return { ce, signs, distance: apart(changed.skey, owners.skey) + apart(changed.key, owners.key) };
}

/** Channels last → channels first, of one map. */
const planes = (data: Float32Array): Numbers =>
  Float64Array.from({ length: data.length }, (_, at) => data[(at % AREA) * IN + Math.floor(at / AREA)]!);

/** What of a state the forger changes. */
function changedOf(state: StateDict): Changed {
  const read = (part: string) => Float64Array.from(toFloat32(state.get(`features.0.${part}`) ?? NOTHING));
  return {
    skey: read("skey_private"),
    key: read("key_private"),
    first: read("fc.0.weight"),
    second: read("fc.2.weight"),
  };
}
const NOTHING: HostTensor = { dtype: "F32", shape: [0], data: new Float32Array() };

/** |a − b| / |b| as vectors. */
function apart(a: Numbers, b: Numbers): number {
  const norm = (v: Numbers) => Math.sqrt(v.reduce((s, x) => s + x * x, 0));
  return norm(a.map((x, i) => x - b[i]!)) / norm(b);
}

interface Case {
  config?: Partial<ConvNetConfig>;
  signs: boolean;
  distance: number;
  /** How far the passports are from the owner's, and how much larger than it. */
  noise?: number;
  scale?: number;
}

describe("the forger's loss", () => {
  it.each<[string, Case]>([
    ["near: signs and distance, FC known", { signs: true, distance: 1, noise: 0.001 }],
    ["farther off, where no term hides another", { signs: true, distance: 1, noise: 1 }],
    ["other: a distance of weight 2", { signs: true, distance: 2, noise: 1 }],
    ["noise: cross-entropy alone", { signs: false, distance: 0, noise: 1 }],
    ["fresh FC without signs", { signs: false, distance: 1, noise: 1 }],
    ["large γ, whose squares count", { signs: true, distance: 0, noise: 1, scale: 300 }],
    ["without an FC", { config: { scheme: "v2", norm: "bn" }, signs: true, distance: 1, noise: 1 }],
  ])("and its gradient towards passports and FC: %s", async (_, { config, noise = 1, scale = 1, ...forgery }) => {
    const before = memory().tensors;
    const model = buildNetwork({ ...ONE, ...config }, { seed: 2 });
    model.loadStateDict(scattered(await model.stateDict()));
    model.eval();
    const layer = model.passportSites()[0]!.secret.passport;
    const random = new Generator(6);
    if (scale > 1) {
      // γ_raw large, γ not: the sign loss acts before the FC.
      const small = layer.fc!.parameters()[1]!;
      small.write((await small.data()).map((v) => v / scale));
    }
    const real = changedOf(await model.stateDict());
    const owners = await Promise.all(passportsOf(model).map((p) => p.data()));
    const moved = owners.map((p) =>
      random.fill(new Float32Array(p.length), "normal", 0, noise).map((d, i) => scale * (p[i]! + d)),
    );
    layer.setPassports({ gamma: moved[0]!, beta: moved[1]! });
    const x = random.fill(new Float32Array(BATCH * AREA * IN), "normal", 0, 1);
    const labels = [0, 2, 1, 1, 0];
    for (const p of passportsOf(model)) p.requiresGrad = true;
    const loss = scope(() => {
      const kept = owners.map((p) => Tensor.from(p, [1, SIZE, SIZE, IN]));
      const batch = Tensor.from(x, [BATCH, SIZE, SIZE, IN]);
      const y = forgeryLoss(model, { ...forgery, owners: kept }, batch, Tensor.from(Int32Array.from(labels), [BATCH]));
      y.backward();
      return y;
    });
    const state = await model.stateDict();
    const at = changedOf(state);
    // Written into their own tensors, gradients come out in the order of state dicts too.
    for (const t of [...passportsOf(model), ...(layer.fc?.parameters() ?? [])]) t.write(await t.grad!.data());
    const found = changedOf(await model.stateDict());
    const images = labels.map((_, n) => planes(x.slice(n * AREA * IN, (n + 1) * AREA * IN)));
    const weights: Terms = { ce: 1, signs: forgery.signs ? 1 : 0, distance: forgery.distance };
    const names = ["ce", "signs", "distance"] as const;
    const weighed = (terms: Terms) => names.reduce((sum, n) => sum + weights[n] * terms[n], 0);
    const terms = termsOf(state, images, labels, at, real);
    const expected = weighed(terms);
    expect(Math.abs((await loss.data())[0]! - expected) / expected).toBeLessThan(1e-4);
    const slopes = (name: keyof Changed, step: number) =>
      at[name].map((v, i) => {
        const shifted = (d: number) =>
          termsOf(state, images, labels, { ...at, [name]: at[name].map((u, k) => (k === i ? v + d : u)) }, real);
        const [up, down] = [shifted(step), shifted(-step)];
        // Term by term: beside a distance of 10⁶ the others would drown in rounding.
        const each = (n: keyof Terms) => (up[n] - down[n]) / (2 * step);
        return weighed({ ce: each("ce"), signs: each("signs"), distance: each("distance") });
      });
    for (const name of ["skey", "key"] as const)
      expect(apart(found[name], slopes(name, 1e-4 * noise * scale)), name).toBeLessThan(2e-4);
    if (layer.fc)
      for (const name of ["first", "second"] as const)
        expect(apart(found[name], slopes(name, 1e-6 / scale)), name).toBeLessThan(2e-4);
    // No term is too small to be seen in what was compared.
    if (noise === 1) {
      if (forgery.signs) expect(terms.signs / expected).toBeGreaterThan(0.01);
      if (forgery.distance) expect(terms.distance / expected).toBeGreaterThan(0.01);
    }
    loss.dispose();
    model.dispose();
    expect(memory().tensors).toBe(before);
  });
});

const NEAR: Forgery = { start: "near", fc: "known", signs: true, distance: 1 };
const budget = { train: tinySet(96, 7), epochs: 10, lr: 0.3, batchSize: 12, seed: 1 };
const bitsOf = ({ tensors }: { tensors: StateDict }, name: string) => toFloat32(tensors.get(`${name}.passport.b`)!);
const LAYERS = ["features.2.bn", "features.3.bn"];

describe("the forged credential", () => {
  let target: Target;
  beforeAll(async () => {
    target = await trainedTarget(TINY);
  });

  /** The attack, and the credentials it hands out as they would be after a save and a load. */
  async function forge(variant: PassportVariant, shares?: number[]) {
    const forged: ForgedPassports[] = [];
    const order: string[] = [];
    const record: AttackRecord = await trainPassports(target, {
      ...budget,
      variant,
      ...(shares && { shares }),
      onStep: ({ setting }) => order.push(`step ${setting["share"]}`),
      onForged: async ({ share, credential }) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        order.push(`forged ${share}`);
        forged.push({ share, credential: stored(credential) });
      },
    });
    return { record, forged, order };
  }

  it("passes with bits of the forger's own, and gets no verdict", async () => {
    const before = { tensors: memory().tensors, deployed: fileBytes(target.deployed) };
    const { record, forged, order } = await forge("near", [0, 0.5]);
    expect(order).toEqual(["step 0", "forged 0", "step 0.5", "forged 0.5"]);
    for (const [i, { share, credential }] of forged.entries()) {
      const found = await examine(target.deployed, credential, { test: target.test });
      expect(found.reasons[0]).toMatch(/of 48 signature bits match/);
      expect(found).toMatchObject({ passes: true, bits: 48, claimed: found.accuracy });
      const { after } = record.steps[i]!;
      expect(found.accuracy).toEqual(after.accuracy);
      const strict = await verify(target.deployed, credential, { test: target.test });
      expect(strict).toMatchObject({ verdict: "refused", bound: null, examination: { matched: found.matched } });
      expect(strict.sentence).toMatch(/not bound to a secret/);
      // Channels are those of the network, and tell nothing: what the owner's file says is kept.
      const { channels: _, ...entries } = credential.metadata;
      expect(Object.keys(entries).sort()).toEqual(["claimed", "format", "model", "passports"]);
      // The record counts the owner's bits, the credential has the forger's.
      let owners = 0;
      for (const { name, gamma, signs } of found.layers) {
        const own = bitsOf(target.credential, name);
        expect(signs.filter((b, k) => b !== own[k]).length).toBe(Math.round(share * own.length));
        owners += gamma.filter((g, k) => g * own[k]! > 0).length;
      }
      expect(after.matched).toBe(owners);
      expect(readCredential(credential).places.map((p) => p.norm)).toEqual(LAYERS);
      expect(found.claimedText).toBe(share ? "" : "PAN!");
    }
    expect(fileBytes(target.deployed)).toEqual(before.deployed);
    expect(memory().tensors).toBe(before.tensors);
  });

  const OWN = "features.3.bn.passport.";

  it("is for the very network that was given away, and changes the private half alone", async () => {
    const known = await forgeWatched(target, NEAR, 0.5, { ...budget, epochs: 1 });
    const fresh = await forgeWatched(target, { ...NEAR, fc: "fresh" }, 0.5, { ...budget, epochs: 1 });
    const changed = (forged: StateDict) =>
      [...forged]
        .filter(([name, t]) => name.startsWith(OWN) && !same(t, target.credential.tensors.get(name)!))
        .map(([name]) => name.slice(OWN.length))
        .sort();
    const statistics = ["num_batches_tracked", "running_mean", "running_var"].map((part) => `norm.${part}`);
    const own = ["b", "key", ...statistics, "skey"];
    expect(changed(known.credential)).toEqual(own);
    expect(changed(fresh.credential)).toEqual([...own, "fc.0.weight", "fc.2.weight"].sort());
    for (const { deployed, credential } of [known, fresh]) {
      expect(deployed).toEqual(target.deployed.tensors);
      const joined = rejoin(target.deployed, { ...target.credential, tensors: credential });
      expect((await joined.deployed()).tensors).toEqual(target.deployed.tensors);
      joined.dispose();
    }
  });

  it("without signs spells what its γ spell: every bit matches, whatever the branch is worth", async () => {
    const { record, forged } = await forge("noise");
    const found = await examine(target.deployed, forged[0]!.credential);
    expect(found).toMatchObject({ passes: true, matched: 48, claimedText: "" });
    const measured = await examine(target.deployed, forged[0]!.credential, { test: target.test });
    expect(measured.passes).toBe(measured.opened!.holds);
    expect(record.steps[0]!.after.matched).toBeLessThan(44);
    for (const name of LAYERS) expect(bitsOf(forged[0]!.credential, name)).not.toEqual(bitsOf(target.credential, name));
  });

  it("is not made of numbers that ran away", async () => {
    const wild = trainPassports(target, { ...budget, epochs: 1, lr: 1e30, variant: "near", shares: [0] });
    await expect(wild).rejects.toThrow(NanLossError);
    await expect(wild).rejects.toThrow(/features\.2\.bn\.passport\.\S+ holds no numbers .* lr 1e\+30: lower lr/);
  });
});

const same = (a: HostTensor, b: HostTensor): boolean =>
  a.data.length === b.data.length && [...a.data].every((v, i) => v === b.data[i]);
