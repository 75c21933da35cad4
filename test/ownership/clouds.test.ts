/**
 * Claims on a PointNet: its classifier is a passport layer too, so that a suspect of another task
 * has lost a part of the signature.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Target } from "../../src/attacks";
import { disguise } from "../../src/attacks";
import { FormatError, StateDictError } from "../../src/errors";
import type { HostTensor } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, loadDeployed } from "../../src/models";
import {
  bind,
  boundCredential,
  examine,
  newSecret,
  nullOfCredentials,
  realign,
  rejoin,
  rejoinSuspect,
  verify,
} from "../../src/ownership";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { anchored } from "../support/anchored";
import { POINTS, TINY_CLOUD, tinyClouds, trainedClouds } from "../support/clouds";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { publicKeyFor } from "../support/owner";

const BITS = 128 + 64 + 32 + 3;
let target: Target;

beforeAll(async () => {
  await gpu();
  target = await trainedClouds(5);
});

const zeros = (...shape: number[]): HostTensor => {
  return { dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(0.01) };
};

/** Logits of a deployed file. */
async function logitsOf(file: SafetensorsFile, x: Tensor): Promise<Float32Array> {
  const model = loadDeployed(file);
  const t = scope(() => noGrad(() => model.forward(x)));
  const data = await t.data();
  for (const d of [t, model]) d.dispose();
  return data;
}

/** The suspect with a classifier of another number of classes; none at all with 0. */
function withHead({ tensors, metadata }: SafetensorsFile, classes: number): SafetensorsFile {
  const out = new Map([...tensors].filter(([name]) => !name.startsWith("p3.")));
  if (classes > 0) {
    out.set("p3.linear.weight", zeros(classes, 32));
    for (const part of ["linear.bias", "bn.weight", "bn.bias"]) out.set(`p3.${part}`, zeros(classes));
  }
  return { tensors: out, metadata };
}

describe("examine", () => {
  it("passes for the trained network: every bit, the text, both branches", async () => {
    const before = memory();
    const found = await examine(target.deployed, target.credential, { test: target.test });
    expect(found).toMatchObject({ passes: true, bits: BITS, matched: BITS, decodedText: "PAN!", claimedText: "PAN!" });
    expect(found.accuracy).toEqual(found.claimed);
    expect(Math.min(found.accuracy.public!, found.accuracy.private!)).toBeGreaterThan(0.8);
    expect(found.layers.map((l) => l.name)).toEqual(["convp3.bn", "p1.bn", "p2.bn", "p3.bn"]);
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it("does not pass for a network of the same structure that was trained by nobody", async () => {
    const stranger = buildNetwork(TINY_CLOUD, { seed: 99 });
    const found = await examine(await stranger.deployed(), target.credential);
    expect(found.passes).toBe(false);
    expect(found.matched).toBeLessThan(BITS * 0.75);
    stranger.dispose();
  });

  it.each([2, 5])("reads all but the classifier's bits from a suspect of %i classes", async (classes) => {
    const found = await examine(withHead(target.deployed, classes), target.credential);
    expect(found).toMatchObject({ passes: true, bits: BITS - 3, matched: BITS - 3, decodedText: "PAN!" });
    expect(found.reasons.join("\n")).toMatch(/classifier p3\.bn was a passport layer: its bits went with it/);
    expect(found.reasons.join("\n")).toMatch(new RegExp(`classifies into ${classes} classes`));
    const { model, unread } = rejoinSuspect(withHead(target.deployed, classes), target.credential);
    expect(unread).toBe("p3.bn");
    const x = randomTensor([2, POINTS, 3], 1);
    expect(scope(() => noGrad(() => (model.forward(x, "private") as Tensor).shape))).toEqual([2, classes]);
    x.dispose();
    model.dispose();
  });

  it("reads them from a suspect without a classifier, which cannot run", async () => {
    const headless = withHead(target.deployed, 0);
    const found = await examine(headless, target.credential, { test: target.test });
    expect(found).toMatchObject({ passes: true, bits: BITS - 3, matched: BITS - 3, accuracy: {} });
    expect(() => rejoin(headless, target.credential)).toThrow(/no classifier of two classes/);
  });

  it("leaves out the lost part of a text, and refuses a credential with nothing else", async () => {
    const spread = { ...TINY_CLOUD, classes: 8, passports: { p2: true, p3: true }, signature: "ACMEs" };
    const only = { ...TINY_CLOUD, classes: 8, passports: { p3: "A" } };
    for (const config of [spread, only]) {
      const model = buildNetwork(config, { seed: 1 });
      const [suspect, credential] = [withHead(await model.deployed(), 3), await model.credential()];
      model.dispose();
      if (config === only) expect(() => rejoinSuspect(suspect, credential)).toThrow(StateDictError);
      else {
        const found = await examine(suspect, credential);
        expect(found).toMatchObject({ bits: 32, claimedText: "ACMEs" });
        // Whatever the untrained network spells, it is what p2 holds of it.
        expect([...found.decodedText].length).toBeLessThanOrEqual(4);
        // A credential whose lost bits spell another text contradicts itself all the same.
        const bits = credential.tensors.get("p3.bn.passport.b")!;
        const turned = { ...bits, data: (bits.data as Float32Array).map((b) => -b) };
        const forged = { ...credential, tensors: new Map([...credential.tensors, ["p3.bn.passport.b", turned]]) };
        await expect(examine(suspect, forged)).rejects.toThrow(FormatError);
      }
    }
  });

  it("reads folded norms, though not the bias of linear layers", async () => {
    const owner = rejoin(target.deployed, target.credential);
    const folded = await owner.deployed({ foldNorm: true });
    owner.dispose();
    const found = await examine(folded, target.credential, { test: target.test });
    expect(found.reasons.join("\n")).toMatch(/folded into its convolutions/);
    expect(found.reasons.join("\n")).toMatch(/biases of fully connected layers add to γ is folded in/);
    expect(found.bits).toBe(BITS);
    // Every γ is farther from 0 than the bias that is missing from it.
    expect(found.matched).toBe(BITS);
    expect(found.accuracy.public).toBe(found.claimed.public);
    const x = randomTensor([4, POINTS, 3], 2);
    const want = await logitsOf(target.deployed, x);
    expectClose(await logitsOf(folded, x), want, { rtol: 0, atol: 1e-5 * Math.max(...want.map(Math.abs)) });
    x.dispose();
    // The same without its classifier.
    expect((await examine(withoutHead(folded), target.credential)).bits).toBe(BITS - 3);
  });

  const withoutHead = (file: SafetensorsFile) => withHead(file, 0);

  it("checks triggers that are clouds", async () => {
    const triggers = { ...tinyClouds(30, 2) };
    const found = await examine(target.deployed, target.credential, { triggers });
    expect(found.triggers).toMatchObject({ count: 30, holds: true });
  });
});

/** A name of a passport's tensor, as credentials have it. */
const inCredential = (name: string) => name.replace(".bn.", ".bn.passport.");

describe("a bound PointNet", () => {
  it("has passports of its secret at every kind of layer, and holds with its commitment", async () => {
    const binding = { statement: "Trained by ACME", secret: newSecret(), publicKey: await publicKeyFor("acme") };
    const config = { ...TINY_CLOUD, passports: { convp2: true, convp3: true, p1: true, p3: true } };
    const model = buildNetwork(config, { seed: 4 });
    await bind(model, binding);
    const again = buildNetwork(config, { seed: 5 });
    await bind(again, binding);
    const [one, other] = [await model.credential(), await again.credential()];
    for (const name of ["convp2.bn.skey", "p1.bn.key", "p1.bn.b", "p3.bn.skey"].map(inCredential))
      expect(one.tensors.get(name), name).toEqual(other.tensors.get(name));
    expect(one.tensors.get(inCredential("convp2.bn.skey"))!.shape).toEqual([1, 8, POINTS]);
    expect(one.tensors.get(inCredential("p1.bn.skey"))!.shape).toEqual([1, 128]);
    const credential = await boundCredential(one, binding);
    // Filters turned until every sign is the signature's: what training comes to.
    const state = await model.stateDict();
    for (const { name, gamma, bits } of await model.readSigns())
      for (const part of ["weight", "linear.bias"]) {
        const layer = name.replace(/\.bn$/, "");
        const t = state.get(`${layer}.${part}`);
        if (!t) continue;
        const row = t.data.length / gamma.length;
        const turn = (v: number, i: number) => (gamma[Math.floor(i / row)]! * bits[Math.floor(i / row)]! < 0 ? -v : v);
        state.set(`${layer}.${part}`, { ...t, data: (t.data as Float32Array).map(turn) });
      }
    model.loadStateDict(state);
    const deployed = await model.deployed();
    const options = await anchored({ credential, released: deployed });
    const found = await verify(deployed, credential, options);
    expect(found).toMatchObject({ verdict: "holds as released", mark: { bits: { count: 211, hits: 211 } } });
    expect(found.examination).toMatchObject({ passes: true, bits: 211, matched: 211 });
    const fineTuned = await verify(withHead(deployed, 5), credential, options);
    expect(fineTuned).toMatchObject({ verdict: "holds", mark: { bits: { count: 208, hits: 208 } } });
    expect(await verify(deployed, credential)).toMatchObject({ verdict: "mark present", mark: found.mark });
    for (const m of [model, again]) m.dispose();
  });
});

describe("a disguised PointNet", () => {
  it.each([
    ["shuffled", { permute: true }, 1e-5],
    ["scaled", { permute: false, scale: 4 }, 1e-5],
    ["filters scaled in front of batch norm", { permute: false, filterScale: 4 }, 1e-3],
    ["filters negated, the third convolution's and the classifier's too", { permute: false, negate: 0.5 }, 0],
    ["all of it", { permute: true, scale: 4, filterScale: 4, negate: 0.5 }, 1e-3],
  ] as const)("does the same, and is read again after realign: %s", async (_, options, relative) => {
    const hidden = disguise(target.deployed, { ...options, seed: 3 });
    const x = randomTensor([4, POINTS, 3], 2);
    const [want, same] = [await logitsOf(target.deployed, x), await logitsOf(hidden, x)];
    // Negation changes no bit; the others round, and filters scaled in front of batch norm shift
    // its ε.
    if (relative === 0) expect(same).toEqual(want);
    else expectClose(same, want, { rtol: 0, atol: relative * Math.max(...want.map(Math.abs)) });
    x.dispose();
    const changed = [...hidden.tensors].filter(
      ([name, t]) => t.data.join() !== target.deployed.tensors.get(name)!.data.join(),
    );
    expect(changed.map(([name]) => name)).toEqual(
      expect.arrayContaining(["stn.fc1.linear.weight", "convp3.conv.weight"]),
    );
    const { aligned, layers } = realign(hidden, target.deployed);
    expect(layers.every((l) => l.copied)).toBe(true);
    const found = await examine(aligned, target.credential);
    expect(found).toMatchObject({ passes: true, matched: BITS });
    const helped = await examine(hidden, target.credential, { reference: target.deployed });
    expect(helped.matched).toBe(BITS);
  });

  it("is read after realign though its task is another", async () => {
    const other = withHead(target.deployed, 5);
    const hidden = disguise(
      {
        ...other,
        metadata: { ...other.metadata, model: other.metadata["model"]!.replace('"classes":3', '"classes":5') },
      },
      { permute: true, negate: 0.5, seed: 3 },
    );
    expect((await examine(hidden, target.credential)).passes).toBe(false);
    const found = await examine(hidden, target.credential, { reference: target.deployed });
    expect(found).toMatchObject({ passes: true, matched: BITS - 3 });
  });
});

describe("the null of a PointNet", () => {
  it("is a coin a bit for strangers' credentials", async () => {
    const { bits, mean, matched } = await nullOfCredentials(target.deployed, target.credential, { draws: 12 });
    expect(bits).toBe(BITS);
    expect(matched).toHaveLength(12);
    expect(Math.abs(mean - BITS / 2)).toBeLessThan(25);
  });
});
