/** PassportConv2d at parity with the authors' passport-aware block: 16 → 32 channels, 3×3, padding 1, batch norm, FC. */
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { fromTorch, type Layout } from "../../src/nn/module";
import { PassportConv2d } from "../../src/passport/passport-aware";
import { add, mul } from "../../src/tensor/ops/elementwise";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu } from "../support/gpu";

const golden = new Golden("pan_block_bn");
const IMAGE = [4, 8, 8, 32] as const;

beforeAll(async () => void (await gpu()));

/** The reference's state without the names it has twice and with the counters it leaves out. */
function goldenState(): StateDict {
  const state: StateDict = new Map();
  for (const [name, value] of golden.file.tensors) {
    const own = name.startsWith("state.") ? name.slice(6) : null;
    if (own && own !== "conv.weight" && own !== "sign_loss_private.b") state.set(own, value);
  }
  const none: HostTensor = { dtype: "I64", shape: [], data: BigInt64Array.of(0n) };
  return state.set("bn0.num_batches_tracked", none).set("bn1.num_batches_tracked", none);
}

function block(): PassportConv2d {
  const layer = new PassportConv2d(16, 32, 3, { padding: 1, inputSize: [8, 8], random: new Generator(1) });
  layer.loadStateDict(goldenState());
  return layer;
}

/** A reference tensor in our order. */
function ours(name: string, layout: Layout, shape: readonly number[]): Float32Array {
  return fromTorch(golden.file.tensors.get(name)!, shape, layout, name);
}

/** One training pass as the reference made it; gradients are left on the layer and on x. */
function pass(layer: PassportConv2d, x: Tensor, shared: boolean) {
  return scope(() => {
    const [g0, g1] = ["g0", "g1"].map((g) => Tensor.from(ours(g, "image", IMAGE), IMAGE)) as [Tensor, Tensor];
    const scales = layer.privateScales();
    const h = shared ? layer.convolve(x) : null;
    const open = h ? layer.normalise(h, "public") : layer.forward(x, "public");
    const secret = h ? layer.normalise(h, "private", scales) : layer.forward(x, "private");
    const signs = layer.signLoss(scales.gammaRaw, { alpha: 0.1 });
    const loss = add(add(sum(mul(open, g0)), sum(mul(secret, g1))), mul(signs, 10));
    loss.backward();
    return { open, secret, signs, loss, scales: { ...scales } };
  });
}

describe.each([
  ["each branch from x", false],
  ["one convolution for both branches", true],
])("against the reference, %s", (_, shared) => {
  const layer: { at: PassportConv2d; x: Tensor; out: ReturnType<typeof pass> } = {} as never;
  beforeAll(() => {
    const x = Tensor.from(ours("x", "image", [4, 8, 8, 16]), [4, 8, 8, 16]);
    x.requiresGrad = true;
    const at = block();
    Object.assign(layer, { at, x, out: pass(at, x, shared) });
  });

  it("gives both branches' outputs", async () => {
    expectClose(await layer.out.open.data(), ours("out.public", "image", IMAGE), { what: "public" });
    expectClose(await layer.out.secret.data(), ours("out.private", "image", IMAGE), { what: "private" });
  });

  it("gives γ before and after the FC, β, and the sign loss", async () => {
    const { scales, signs, loss } = layer.out;
    expectClose(await scales.gammaRaw.data(), golden.data("gamma.raw"), { what: "γ_raw" });
    expectClose(await scales.gamma.data(), golden.data("gamma.effective"), { what: "γ" });
    expectClose(await scales.beta.data(), golden.data("beta.effective"), { what: "β" });
    expectClose(await signs.data(), golden.data("sign_loss"), { what: "sign loss" });
    expectClose(await loss.data(), golden.data("loss"), { what: "loss" });
    const gamma = await layer.at.readGamma();
    expectClose(gamma, golden.data("gamma.raw"), { what: "readGamma" });
    const signsOf = await layer.at.b.data();
    const share = gamma.reduce((n, g, i) => n + (g > 0 === signsOf[i]! > 0 ? 1 : 0), 0) / 32;
    expect(share).toBeCloseTo(golden.data("sign_accuracy")[0]!, 6);
  });

  it("gives every gradient", async () => {
    const { at, x } = layer;
    const grads: [name: string, tensor: Tensor, layout: Layout][] = [
      ["x", x, "image"],
      ["weight", at.weight, "conv2d"],
      ["scale", at.scale, "same"],
      ["bias", at.bias, "same"],
      ...[...at.fc.namedTensors("fc.")].map(([name, t, r]) => [name, t, r.layout] as [string, Tensor, Layout]),
    ];
    expect(grads.map(([name]) => name)).toEqual(["x", "weight", "scale", "bias", "fc.0.weight", "fc.2.weight"]);
    for (const [name, t, layout] of grads) {
      const expected = ours(`grad.${name}`, layout, t.shape);
      // Sums over 256 positions cancel: rounding is relative to the largest entry, not to the smallest.
      const atol = 1e-5 * Math.max(...expected.map(Math.abs));
      expectClose(await t.grad!.data(), expected, { atol, what: name });
    }
    expect([at.b, at.keyPrivate, at.skeyPrivate].map((t) => t.grad)).toEqual([null, null, null]);
  });

  it("moves each branch's running statistics by its own batch", async () => {
    const state = await layer.at.stateDict();
    for (const name of ["bn0.running_mean", "bn0.running_var", "bn1.running_mean", "bn1.running_var"]) {
      expectClose(toFloat32(state.get(name)!), golden.data(`after.${name}`), { what: name });
    }
    for (const bn of ["bn0", "bn1"]) expect(state.get(`${bn}.num_batches_tracked`)!.data[0]).toBe(1n);
  });

  it("gives the evaluation outputs from the statistics it gathered", async () => {
    layer.at.eval();
    for (const branch of ["public", "private"] as const) {
      const y = scope(() => noGrad(() => layer.at.forward(layer.x, branch)));
      expectClose(await y.data(), ours(`eval.${branch}`, "image", IMAGE), { what: branch });
      y.dispose();
    }
  });
});

describe("PassportConv2d", () => {
  const small = (seed = 1) =>
    new PassportConv2d(2, 8, 3, { padding: 1, inputSize: [4, 4], signature: "A", random: new Generator(seed) });

  it("has the authors' names and shapes", async () => {
    const state = await block().stateDict();
    expect([...state.keys()].sort()).toEqual([...goldenState().keys()].sort());
    for (const [name, value] of goldenState()) expect(state.get(name)!.shape, name).toEqual(value.shape);
  });

  it("refuses inputs that do not have the passports' shape", () => {
    const layer = small();
    expect(() => layer.forward(Tensor.full([1, 4, 5, 2], 0))).toThrow(ShapeError);
    expect(() => layer.forward(Tensor.full([4, 4, 2], 0))).toThrow(/\[N, 4, 4, 2\]/);
  });

  it("follows its passports: set, drawn anew, or loaded", async () => {
    const [layer, other] = [small(), small(2)];
    const gamma = await layer.readGamma();
    scope(() => void layer.privateScales());
    layer.randomPassports(new Generator(5));
    const fresh = scope(() => layer.privateScales().gammaRaw);
    expectClose(await fresh.data(), await layer.readGamma(), { what: "after randomPassports" });
    expect([...(await fresh.data())]).not.toEqual([...gamma]);
    layer.loadStateDict(await other.stateDict());
    const loaded = scope(() => layer.privateScales().gammaRaw);
    expectClose(await loaded.data(), await other.readGamma(), { what: "after loadStateDict" });
    const twos = new Float32Array(32).fill(2);
    layer.setPassports({ skey: twos, key: twos });
    const { gammaRaw, gamma: effective, beta } = scope(() => layer.privateScales());
    expect([...(await effective.data())]).toEqual([...(await beta.data())]);
    expectClose(await gammaRaw.data(), await layer.readGamma(), { what: "after setPassports" });
    expect(() => layer.setPassports({ skey: new Float32Array(3), key: twos })).toThrow(ShapeError);
  });

  it("reads γ without leaving tensors behind, and frees everything on dispose", async () => {
    const before = memory();
    const layer = small();
    scope(() => void layer.privateScales());
    const made = memory();
    await layer.readGamma();
    expect(memory()).toMatchObject({ tensors: made.tensors, bytes: made.bytes });
    layer.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});
