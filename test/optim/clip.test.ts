import { beforeAll, describe, expect, it } from "vitest";
import { clipGradNorm, clipGradValue } from "../../src/optim";
import { Tensor } from "../../src/tensor";
import { affine } from "../../src/tensor/ops/elementwise";
import { gpu } from "../support/gpu";

beforeAll(gpu);

/** Parameters with these gradients. */
const withGrads = (...grads: number[][]): Tensor[] =>
  grads.map((g) => {
    const p = Tensor.full([g.length], 0);
    p.requiresGrad = true;
    p.grad = Tensor.from(g);
    return p;
  });
const gradsOf = async (params: readonly Tensor[]) => Promise.all(params.map(async (p) => [...(await p.grad!.data())]));

describe("gradients that are not finite, as PyTorch's clip_grad_norm_ has them", () => {
  it("NaN in one makes the norm and all gradients NaN", async () => {
    for (const maxNorm of [1, 0, 1e9]) {
      const params = withGrads([3, 4], [1, Number.NaN, 0, 2, 5]);
      expect(await clipGradNorm(params, maxNorm).item()).toBeNaN();
      expect((await gradsOf(params)).flat().every(Number.isNaN)).toBe(true);
    }
  });

  it("infinity makes the norm infinite, itself NaN, the others 0", async () => {
    const params = withGrads([3, 4], [1, -Infinity, 0]);
    expect(await clipGradNorm(params, 1).item()).toBe(Infinity);
    expect(await gradsOf(params)).toEqual([
      [0, 0],
      [0, Number.NaN, 0],
    ]);
  });

  it("Infinity as the limit measures alone", async () => {
    const params = withGrads([3, Number.NaN]);
    expect(await clipGradNorm(params, Infinity).item()).toBeNaN();
    expect(await gradsOf(params)).toEqual([[3, Number.NaN]]);
  });

  it("clipping by value keeps NaN, and clamps infinities", async () => {
    const params = withGrads([Number.NaN, 5, -Infinity, Infinity, -0.5], [Number.NaN]);
    clipGradValue(params, 1);
    expect(await gradsOf(params)).toEqual([[Number.NaN, 1, -1, 1, -0.5], [Number.NaN]]);
  });
});

describe("norms at the ends of the range", () => {
  it.each([
    { grads: [3e20, 4e20], norm: 5e20, clipped: [0.6, 0.8] },
    { grads: [3e37, -4e37], norm: 5e37, clipped: [0.6, -0.8] },
    { grads: [1.5e38, 2e38, 0], norm: 2.5e38, clipped: [0.6, 0.8, 0] },
    { grads: [3e-25, 4e-25], norm: 5e-25, clipped: [3e-25, 4e-25] },
    { grads: [0, 0], norm: 0, clipped: [0, 0] },
  ])("$grads", async ({ grads, norm, clipped }) => {
    const params = withGrads(grads, [0]);
    expect((await clipGradNorm(params, 1).item()) / (norm || 1)).toBeCloseTo(norm ? 1 : 0, 5);
    const [found] = await gradsOf(params);
    found!.forEach((v, i) => expect(clipped[i] ? v / clipped[i]! : v).toBeCloseTo(clipped[i] ? 1 : 0, 5));
  });

  it("a limit of 0 without eps leaves gradients of 0 alone", async () => {
    const params = withGrads([0, 0], [0]);
    expect(await clipGradNorm(params, 0, { eps: 0 }).item()).toBe(0);
    expect(await gradsOf(params)).toEqual([[0, 0], [0]]);
  });

  it("leaves out what lies behind the last element of a gradient, and adds eps to the norm", async () => {
    const p = Tensor.full([5], 0);
    p.requiresGrad = true;
    // Computed four at a time: the rest of the last vector holds 7 too.
    p.grad = affine(Tensor.from([-4, -3, -7, -7, -7]), 1, 7);
    expect(await clipGradNorm(p, 1, { eps: 3 }).item()).toBe(5);
    const [found] = await gradsOf([p]);
    found!.forEach((v, i) => expect(v).toBeCloseTo([3 / 8, 4 / 8, 0, 0, 0][i]!, 6));
  });

  it("takes a single parameter too", async () => {
    const [p] = withGrads([3, 4]);
    expect(await clipGradNorm(p!, 1, { eps: 0 }).item()).toBe(5);
    clipGradValue(p!, 0.5);
    expect((await p!.grad!.data())[1]).toBe(0.5);
  });
});
