import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { type SignLossOptions, signLoss } from "../../src/passport/sign-loss";
import { mul } from "../../src/tensor/ops/elementwise";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const bitsFor = (n: number, seed: number) => Float32Array.from(new Generator(seed).bits(n), (b) => 2 * b - 1);

function oracle(
  gamma: ArrayLike<number>,
  b: ArrayLike<number>,
  { alpha = 0.1, margin = 0.1, l2 = 1e-5 }: SignLossOptions = {},
) {
  let loss = 0;
  const grad = Array.from(gamma, (g, i) => {
    const short = margin - g * b[i]!;
    loss += alpha * Math.max(short, 0) + l2 * g * g;
    return (short > 0 ? -alpha * b[i]! : 0) + 2 * l2 * g;
  });
  return { loss, grad };
}

/** Loss and gradient; the loss is multiplied by `seed` before it flows back. */
async function measure(gamma: Float32Array, b: Float32Array, options?: SignLossOptions, seed = 1) {
  const leaf = Tensor.from(gamma, [gamma.length]);
  leaf.requiresGrad = true;
  const loss = scope(() => {
    const y = signLoss(leaf, Tensor.from(b, [b.length]), options);
    mul(y, seed).backward();
    return y;
  });
  expect(loss.shape).toEqual([]);
  const out = { loss: await loss.item(), grad: await leaf.grad!.data() };
  leaf.dispose();
  loss.dispose();
  return out;
}

describe("signLoss", () => {
  it.each([
    [1, 1, {}],
    [5, 0.1, {}],
    [64, 1, {}],
    [257, 0.3, { alpha: 1, margin: 0.5, l2: 0.01 }],
    [33, 2, { alpha: 0, l2: 0.1 }],
    [100, 0.2, { margin: 0, l2: 0 }],
    [1023, 0.15, { alpha: 0.7 }],
  ] as [
    number,
    number,
    SignLossOptions,
  ][])("equals the formula: %i channels, |γ| ≤ %d, %o", async (n, scale, options) => {
    const [gamma, b] = [randomData([n], n, scale), bitsFor(n, n + 1)];
    const want = oracle(gamma, b, options);
    const got = await measure(gamma, b, options, -2.5);
    expectClose([got.loss], [want.loss], { what: "loss" });
    expectClose(
      got.grad,
      want.grad.map((g) => -2.5 * g),
      { atol: 1e-7, what: "gradient" },
    );
  });

  it("takes γ as the first of two rows, and adds up over layers", async () => {
    const rows = randomData([2, 24], 5, 0.2);
    const bits = bitsFor(24, 6);
    const leaf = Tensor.from(rows, [2, 24]);
    leaf.requiresGrad = true;
    const loss = scope(() => {
      const b = Tensor.from(bits, [24]);
      const y = signLoss(leaf, b, {}, signLoss(leaf, b, { alpha: 1 }));
      y.backward();
      return y;
    });
    const gamma = rows.slice(0, 24);
    const [one, other] = [oracle(gamma, bits), oracle(gamma, bits, { alpha: 1 })];
    expectClose([await loss.item()], [one.loss + other.loss]);
    const grad = one.grad.map((g, i) => g + other.grad[i]!);
    expectClose(await leaf.grad!.data(), [...grad, ...new Array<number>(24).fill(0)], { atol: 1e-7 });
    leaf.dispose();
    loss.dispose();
  });

  it("agrees with finite differences away from the kink", async () => {
    const b = bitsFor(24, 3);
    // |γ·b − margin| ≥ 0.04 on either side; the probe steps 0.01.
    const gamma = b.map((s, i) => s * (0.1 + (i % 2 ? 0.04 + 0.03 * i : -0.04 - 0.03 * i)));
    const bits = Tensor.from(b, [24]);
    const options = { alpha: 1, l2: 0.05 };
    await gradcheck((g) => signLoss(g, bits, options), [{ shape: [24], data: gamma }], {
      rtol: 2e-3,
      atol: 2e-3,
      probes: 24,
    });
    bits.dispose();
  });

  it("is 0 with gradient 0 at the kink, and in either side's formula next to it", async () => {
    const up = (x: number, ulps: number) => {
      const f = Float32Array.of(x);
      new Int32Array(f.buffer)[0]! += ulps;
      return f[0]!;
    };
    const [at, below, above] = [Math.fround(0.1), up(0.1, -1), up(0.1, 1)];
    const { loss, grad } = await measure(
      Float32Array.of(at, -at, below, -below, above, -above),
      Float32Array.of(1, -1, 1, -1, 1, -1),
      { l2: 0 },
    );
    expect([...grad].map((g) => Math.round(g * 1e6) / 1e6 + 0)).toEqual([0, 0, -0.1, 0.1, 0, 0]);
    expect(loss).toBeLessThan(1e-8);
  });

  it("still pulls γ from the wrong side and from 0", async () => {
    const { loss, grad } = await measure(Float32Array.of(0, 0, -1, 1), Float32Array.of(1, -1, 1, -1), { l2: 0 });
    expectClose(grad, [-0.1, 0.1, -0.1, 0.1]);
    expectClose([loss], [0.1 * (0.1 + 0.1 + 1.1 + 1.1)]);
  });

  it("is NaN where γ is, without the squares too", async () => {
    const { loss } = await measure(Float32Array.of(1, Number.NaN, 1), Float32Array.of(1, -1, 1), { l2: 0 });
    expect(loss).toBeNaN();
  });

  it("is 0 for a layer without channels", async () => {
    const got = await measure(new Float32Array(0), new Float32Array(0));
    expect(got.loss).toBe(0);
    expect(got.grad).toHaveLength(0);
  });

  it("refuses γ and bits of different shapes, and matrices", () => {
    const t = (...shape: number[]) => Tensor.full(shape, 1);
    scope(() => {
      expect(() => signLoss(t(4), t(5))).toThrow(ShapeError);
      expect(() => signLoss(t(4), t(5))).toThrow(/\[4\].*\[5\]/);
      expect(() => signLoss(t(2, 4), t(2, 4))).toThrow(ShapeError);
    });
  });
});
