/**
 * The workgroup form of products, which graphics processors use, forced on whatever adapter is
 * here.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Block } from "../../shaders/products/blocks.wgsl";
import { convBlocksKernel, convWeightBlocksKernel } from "../../shaders/products/conv-blocks.wgsl";
import { matmulBlocksKernel } from "../../shaders/products/matmul-blocks.wgsl";
import type { Device } from "../../src/gpu/device";
import { moduleSource, type ProductCaps } from "../../src/gpu/kernel";
import { BLOCKS } from "../../src/tensor/ops/products/blocks";
import { conv2d } from "../../src/tensor/ops/products/conv";
import type { ConvOptions } from "../../src/tensor/ops/products/geometry";
import { linear, matmul } from "../../src/tensor/ops/products/matmul";
import { inSplits } from "../../src/tensor/ops/splits";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, randomData, randomTensor, withCaps } from "../support/gpu";

let d: Device;
beforeAll(async () => void (d = await gpu()));

const as = <T>(choice: Partial<Pick<ProductCaps, "tiling" | "precision">>, f: () => Promise<T>) =>
  withCaps(d, choice, f);

function leaf(data: Float32Array, shape: number[]): Tensor {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

/** Kernels of this name compiled so far: that the form under test ran at all. */
const compiled = (name: string) =>
  [...(d as unknown as { pipelines: { labels(): Iterable<string> } }).pipelines.labels()].filter((l) =>
    l.startsWith(`${name}<`),
  ).length;

const blocksOf = (half: boolean): Block[] =>
  BLOCKS.map(({ block }) => ({ ...block, bk: half ? 2 * block.bk : block.bk, half }));

/** op(a)·op(b) + bias of `batch` pairs of matrices, in float64, after `round`. */
function product(
  [m, n, k, batch]: [number, number, number, number],
  a: Float32Array,
  b: Float32Array,
  bias: Float32Array | null,
  trans: boolean,
  round = (v: number) => v,
): Float64Array {
  const y = new Float64Array(batch * m * n);
  const [ra, rb] = [a.map(round), b.map(round)];
  for (let q = 0; q < batch; q++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = bias ? bias[j]! : 0;
        for (let l = 0; l < k; l++)
          sum += ra[q * m * k + (trans ? l * m + i : i * k + l)]! * rb[q * k * n + (trans ? j * k + l : l * n + j)]!;
        y[(q * m + i) * n + j] = sum;
      }
  return y;
}

/**
 * One product by one block, with k in two chunks; the kernel itself, whatever the device would
 * choose.
 */
async function byBlock(block: Block, trans: boolean, size: [number, number, number, number], seed: number) {
  const [m, n, k, batch] = size;
  const [ad, bd, biasd] = [
    randomData([batch * m * k], seed),
    randomData([batch * k * n], seed + 1),
    randomData([n], 3),
  ];
  // Not a number in one row must stay there: what is fetched past k, or past the chunk, does not
  // count.
  ad[trans ? 5 : 5 * k] = Number.NaN;
  const [a, b, bias] = [Tensor.from(ad, [ad.length]), Tensor.from(bd, [bd.length]), Tensor.from(biasd, [n])];
  const chunk = Math.ceil(k / 2 / block.bk) * block.bk;
  const splits = Math.ceil(k / chunk);
  const [vecA, vecB] = [(trans ? m : k) % 4 === 0, (trans ? k : n) % 4 === 0];
  const whole = k % block.bk === 0;
  const spec = { transA: trans, transB: trans, vecA, vecB, vec: n % 4 === 0, whole, bias: true, block };
  const y = inSplits(d, [batch, m, n], splits, (c, adds) =>
    d.run(
      matmulBlocksKernel,
      { ...spec, adds },
      { a: a.buffer, b: b.buffer, bias: bias.buffer, c },
      { m, n, k, batch, strideA: m * k, strideB: k * n, splits, chunk },
    ),
  );
  return { y: await y.data(), want: product(size, ad, bd, biasd, trans) };
}

describe("every block", () => {
  for (const [i, block] of blocksOf(false).entries()) {
    // Either way operands can lie, odd sizes in one, whole vectors and steps in the other; a kernel
    // more costs a software adapter seconds.
    const trans = block.bm > 64;
    const size = trans ? [block.bm + 8, block.bn + 4, 96, 1] : [block.bm + 5, block.bn + 9, 37, 2];
    it(`of ${block.bm}×${block.bn} multiplies${trans ? " transposes" : ""} and adds chunks of k`, async () => {
      const { y, want } = await byBlock(block, trans, size as [number, number, number, number], i);
      expectClose(y, want);
    });
  }

  it("is valid WGSL in every form, and its barriers stand in uniform control flow", async () => {
    const halves = d.gpu.features.has("shader-f16") ? [false, true] : [false];
    const shapes = [
      { kernel: [3, 2], stride: [2, 1], dilation: [1, 2] },
      { kernel: [1, 1], stride: [1, 1], dilation: [1, 1] },
    ] as const;
    const flags = [false, true];
    const sources: string[] = [];
    for (const block of halves.flatMap(blocksOf))
      for (const vec of flags)
        for (const odd of flags) {
          for (const transA of flags)
            sources.push(
              moduleSource(
                matmulBlocksKernel,
                {
                  transA,
                  transB: odd,
                  vecA: vec,
                  vecB: !odd,
                  vec: odd !== vec,
                  whole: vec,
                  bias: vec,
                  adds: odd,
                  block,
                },
                d.caps,
                false,
              ),
            );
          for (const shape of shapes) {
            const s = { ...shape, vec, block };
            for (const mode of ["forward", "input"] as const)
              for (const whole of odd ? flags : [false]) {
                const spec = { ...s, mode, vecSrc: odd, whole, bias: mode === "forward", adds: vec };
                sources.push(moduleSource(convBlocksKernel, spec, d.caps, false));
              }
            sources.push(
              moduleSource(convWeightBlocksKernel, { ...s, vecX: odd, whole: vec, adds: odd }, d.caps, false),
            );
          }
        }
    d.gpu.pushErrorScope("validation");
    for (const code of sources) d.gpu.createShaderModule({ code });
    expect((await d.gpu.popErrorScope())?.message).toBeUndefined();
  });
});

describe("convolutions", () => {
  const cases: (ConvOptions & { x: number[]; w: number[]; bias: boolean; gradients: boolean })[] = [
    {
      x: [2, 9, 8, 16],
      w: [3, 2, 8, 24],
      stride: [2, 1],
      padding: [2, 0],
      dilation: [1, 2],
      groups: 2,
      bias: true,
      gradients: true,
    },
    {
      x: [1, 7, 9, 10],
      w: [2, 3, 10, 18],
      stride: [1, 2],
      padding: [1, 1],
      dilation: [2, 1],
      bias: false,
      gradients: true,
    },
    // Few pixels and long sums: k is split.
    { x: [1, 3, 3, 512], w: [1, 1, 512, 32], bias: true, gradients: false },
  ];

  async function results({
    x: xs,
    w: ws,
    bias,
    gradients,
    ...options
  }: (typeof cases)[number]): Promise<Float32Array[]> {
    const [x, w, b] = [
      leaf(randomData(xs, 1), xs),
      leaf(randomData(ws, 2), ws),
      leaf(randomData([ws[3]!], 3), [ws[3]!]),
    ];
    const y = conv2d(x, w, bias ? b : null, options);
    if (!gradients) return [await y.data()];
    y.backward(randomTensor(y.shape, 4));
    return Promise.all([y, x.grad!, w.grad!].map((t) => t.data()));
  }

  for (const c of cases)
    it(`are the subgroup form's: x [${c.x}], w [${c.w}], stride ${c.stride ?? 1}, groups ${c.groups ?? 1}`, async () => {
      const ran = () => compiled("conv2d-blocks") + compiled("conv2d-weight-blocks");
      const before = ran();
      const found = await as({ tiling: "workgroup" }, () => results(c));
      expect(ran()).toBe(before + (c.gradients ? 3 : 1));
      const want = await as({ tiling: "subgroup" }, () => results(c));
      found.forEach((v, i) => expectClose(v, want[i]!, { rtol: 1e-4, atol: 3e-5, what: ["y", "dx", "dw"][i]! }));
    });

  it("have PyTorch's output and gradients", () =>
    as({ tiling: "workgroup" }, async () => {
      const golden = new Golden("conv");
      const of = (part: string) => leaf(golden.data(`conv2d.5.${part}`), golden.shape(`conv2d.5.${part}`));
      const [x, w] = [of("x"), of("w")];
      const { bias: _, ...options } = golden.meta("conv2d")[5];
      const y = conv2d(x, w, null, options);
      y.backward(of("g"));
      expectClose(await y.data(), golden.data("conv2d.5.y"), { what: "y" });
      expectClose(await x.grad!.data(), golden.data("conv2d.5.dx"), { what: "dx" });
      expectClose(await w.grad!.data(), golden.data("conv2d.5.dw"), { atol: 3e-5, what: "dw" });
    }));
});

describe("matrix products", () => {
  it("repeat one matrix over a batch, add a bias, and send gradients back", async () => {
    const shapes = [[3, 20, 32], [32, 17], [17]];
    const run = async () => {
      const [x, w, b] = shapes.map((s, i) => leaf(randomData(s, i), s)) as [Tensor, Tensor, Tensor];
      const ys = [matmul(x, w), linear(x, w, b)];
      for (const y of ys) y.backward(randomTensor(y.shape, 9));
      return Promise.all([...ys, x.grad!, w.grad!, b.grad!].map((t) => t.data()));
    };
    const found = await as({ tiling: "workgroup" }, run);
    const want = await as({ tiling: "subgroup" }, run);
    found.forEach((v, i) => expectClose(v, want[i]!, { rtol: 1e-4, atol: 1e-4 }));
  });

  it("take empty sizes", () =>
    as({ tiling: "workgroup" }, async () => {
      const empty = (shape: number[]) => Tensor.from(new Float32Array(0), shape);
      expect([...(await matmul(empty([9, 0]), empty([0, 8])).data())]).toEqual(new Array(72).fill(0));
      const bias = Tensor.from(
        Float32Array.from({ length: 9 }, (_, i) => i),
        [9],
      );
      const y = await linear(empty([8, 0]), empty([0, 9]), bias).data();
      expect([...y]).toEqual(Array.from({ length: 72 }, (_, i) => i % 9));
      expect(conv2d(empty([0, 5, 5, 16]), randomTensor([3, 3, 16, 16], 1)).shape).toEqual([0, 3, 3, 16]);
    }));
});

/** The nearest f16, as a number; ties to even. For magnitudes of 2⁻¹⁴ up to 65504. */
function toHalf(v: number): number {
  if (v === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(v))) - 10);
  const scaled = v / unit;
  const [low, up] = [Math.floor(scaled), Math.ceil(scaled)];
  if (scaled - low !== up - scaled) return Math.round(scaled) * unit;
  return (low % 2 === 0 ? low : up) * unit;
}

describe("f16", () => {
  it("rounds operands to 11 bits and nothing else", async (context) => {
    if (!d.gpu.features.has("shader-f16")) return context.skip(`${d.name} has no shader-f16`);
    const [m, n, k] = [40, 44, 70];
    const away = (v: number) => (Math.abs(v) < 1e-3 ? 0.5 : v);
    const [ad, bd] = [randomData([m, k], 1, 4).map(away), randomData([k, n], 2, 4).map(away)];
    const y = await as({ tiling: "workgroup", precision: "f16" }, () =>
      matmul(Tensor.from(ad, [m, k]), Tensor.from(bd, [k, n])).data(),
    );
    expectClose(y, product([m, n, k, 1], ad, bd, null, false, toHalf));
    const exact = product([m, n, k, 1], ad, bd, null, false);
    expect(Math.max(...y.map((v, i) => Math.abs(v - exact[i]!)))).toBeGreaterThan(1e-3);
  });

  it("carries a convolution and its gradients within the bound", async (context) => {
    if (!d.gpu.features.has("shader-f16")) return context.skip(`${d.name} has no shader-f16`);
    const [xs, ws] = [
      [2, 6, 6, 16],
      [3, 3, 16, 16],
    ];
    const run = async () => {
      const [x, w] = [leaf(randomData(xs!, 1), xs!), leaf(randomData(ws!, 2), ws!)];
      const y = conv2d(x, w, null, { padding: 1 });
      y.backward(randomTensor(y.shape, 3));
      return Promise.all([y, x.grad!, w.grad!].map((t) => t.data()));
    };
    const found = await as({ tiling: "workgroup", precision: "f16" }, run);
    const want = await as({ tiling: "subgroup" }, run);
    // Each of up to 144 products is below 1 and errs by at most 2⁻¹⁰.
    found.forEach((v, i) => expectClose(v, want[i]!, { rtol: 0, atol: 144 / 1024 / 4 }));
  });
});
