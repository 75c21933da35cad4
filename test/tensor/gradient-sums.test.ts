/** Gradients that several operations send to one tensor, added where they go. */
import { beforeAll, describe, expect, it } from "vitest";
import { LifetimeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { passportFc } from "../../src/passport/fc";
import { signLoss } from "../../src/passport/sign-loss";
import { add, mul, relu } from "../../src/tensor/ops/elementwise";
import { layerNorm, rmsNorm } from "../../src/tensor/ops/norm/norm";
import { conv2d } from "../../src/tensor/ops/products/conv";
import { linear, matmul } from "../../src/tensor/ops/products/matmul";
import { sum } from "../../src/tensor/ops/reduce";
import { recordStep } from "../../src/tensor/recorded";
import type { Shape } from "../../src/tensor/shape";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu, randomTensor, withCaps } from "../support/gpu";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

const leaf = (shape: Shape, seed: number) => {
  const t = randomTensor(shape, seed);
  t.requiresGrad = true;
  return t;
};

/** Two operations on the same tensors, each of which some gradient is wanted of. */
interface Case {
  readonly leaves: Readonly<Record<string, Shape>>;
  readonly branches: readonly ((t: Record<string, Tensor>) => Tensor)[];
}

/** One sign a channel. */
const BITS = () => Tensor.from(Float32Array.from({ length: 24 }, (_, i) => (i % 3 ? 1 : -1)));

const CASES: Readonly<Record<string, Case>> = {
  "convolutions of one input": {
    leaves: { x: [2, 8, 8, 16], w1: [3, 3, 16, 16], w2: [1, 1, 16, 32] },
    branches: [
      ({ x, w1 }) => conv2d(x!, w1!, null, { padding: 1 }),
      ({ x, w2 }) => conv2d(x!, w2!, null, { stride: 2 }),
    ],
  },
  "convolutions of one input that was computed": {
    leaves: { x: [2, 8, 8, 16], w1: [3, 3, 16, 16], w2: [3, 3, 16, 16] },
    branches: [
      ({ x, w1 }) => conv2d(x!, w1!, null, { padding: 1 }),
      ({ x, w1, w2 }) => conv2d(relu(conv2d(x!, w1!, null, { padding: 1 })), w2!, null, { padding: 1 }),
    ],
  },
  "convolutions by one weight": {
    leaves: { x1: [2, 8, 8, 16], x2: [3, 9, 7, 16], w: [3, 3, 16, 32] },
    branches: [({ x1, w }) => conv2d(x1!, w!), ({ x2, w }) => conv2d(x2!, w!, null, { padding: 1 })],
  },
  "three channels": {
    leaves: { x: [2, 8, 8, 3], w: [3, 3, 3, 16] },
    branches: [({ x, w }) => conv2d(x!, w!), ({ x, w }) => conv2d(x!, w!, null, { dilation: 2 })],
  },
  "linear maps by one weight": {
    leaves: { x1: [40, 64], x2: [70, 64], w: [64, 48] },
    branches: [({ x1, w }) => linear(x1!, w!), ({ x2, w }) => linear(x2!, w!)],
  },
  "products of one tensor with itself": {
    leaves: { x: [64, 64] },
    branches: [({ x }) => matmul(x!, x!), ({ x }) => matmul(x!, x!, { transposeA: true })],
  },
  "products of matrices that are repeated": {
    leaves: { a: [3, 32, 24], b: [24, 40] },
    branches: [({ a, b }) => matmul(a!, b!), ({ a, b }) => matmul(a!, mul(b!, 2))],
  },
  "a passport's FC and its sign loss": {
    leaves: { raw: [2, 24], a: [24, 6], b: [6, 24] },
    branches: [({ raw, a, b }) => passportFc(raw!, a!, b!, 0.1), ({ raw }) => signLoss(raw!, BITS(), { alpha: 1 })],
  },
  "a sign loss and its passport's FC": {
    leaves: { raw: [2, 24], a: [24, 6], b: [6, 24] },
    branches: [({ raw }) => signLoss(raw!, BITS(), { alpha: 1 }), ({ raw, a, b }) => passportFc(raw!, a!, b!, 0.1)],
  },
  "norms of rows": {
    leaves: { x: [40, 64], g: [64], b: [64] },
    branches: [
      ({ x, g, b }) => layerNorm(x!, [64], { gamma: g!, beta: b! }),
      ({ x, g }) => rmsNorm(x!, [64], { gamma: g! }),
    ],
  },
  "a residual": {
    leaves: { x: [2, 8, 8, 16], w: [3, 3, 16, 16] },
    branches: [({ x, w }) => add(conv2d(x!, w!, null, { padding: 1 }), x!), ({ x }) => relu(x!)],
  },
};

const tensorsOf = ({ leaves }: Case) =>
  Object.fromEntries(Object.entries(leaves).map(([name, shape], i) => [name, leaf(shape, i + 1)]));

const gradients = async (tensors: Record<string, Tensor>) =>
  new Map(await Promise.all(Object.entries(tensors).map(async ([name, t]) => [name, await t.grad!.data()] as const)));

/**
 * Each branch by a backward pass of its own, in an order, with a sum of its gradients on the host.
 */
async function apart(c: Case): Promise<Map<string, Float32Array[]>> {
  const found = new Map<string, Float32Array[]>();
  for (const branch of c.branches) {
    const tensors = tensorsOf(c);
    scope(() => {
      const y = branch(tensors);
      y.backward(randomTensor(y.shape, 9));
    });
    for (const [name, t] of Object.entries(tensors)) {
      if (t.grad) found.set(name, [...(found.get(name) ?? []), (await t.grad.data()) as Float32Array]);
      t.grad?.dispose();
      t.dispose();
    }
  }
  return found;
}

const FORMS = { "of the device": {}, "in blocks": { tiling: "workgroup" } } as const;

describe("gradients of one tensor", () => {
  for (const [form, caps] of Object.entries(FORMS))
    for (const [title, c] of Object.entries(CASES))
      it(`are added up: ${title}, products ${form}`, async () => {
        await withCaps(device, caps, async () => {
          const before = memory();
          const expected = await apart(c);
          const tensors = tensorsOf(c);
          // One pass through all of them, and passes one after the other, which add to the leaves'.
          const together = (branches: Case["branches"]) =>
            scope(() => {
              const ys = branches.map((branch) => branch(tensors));
              const sums = ys.map((y) => mul(y, randomTensor(y.shape, 9)));
              let loss = sum(sums[0]!);
              for (const s of sums.slice(1)) loss = add(loss, sum(s));
              loss.backward();
            });
          for (const passes of [[c.branches], c.branches.map((b) => [b])]) {
            for (const branches of passes) together(branches);
            for (const [name, values] of await gradients(tensors)) {
              const each = expected.get(name)!;
              const want = values.map((_, i) => each.reduce((all, g) => Math.fround(all + g[i]!), 0));
              const size = Math.max(...want.map(Math.abs));
              expect(size, name).toBeGreaterThan(0);
              const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - want[i]!)), 0);
              expect(worst, name).toBeLessThanOrEqual(1e-6 * size);
            }
            for (const t of Object.values(tensors)) {
              t.grad!.dispose();
              t.grad = null;
            }
          }
          for (const t of Object.values(tensors)) t.dispose();
          expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
        });
      });

  it("cost no launch of their own where products are in blocks", async () => {
    const launches = (branches: Case["branches"], tensors: Record<string, Tensor>) => {
      const before = device.counters.dispatches;
      scope(() => {
        for (const branch of branches) {
          const y = branch(tensors);
          y.backward(y.newFull(y.shape, 1));
        }
      });
      return device.counters.dispatches - before;
    };
    await withCaps(device, FORMS["in blocks"], async () => {
      const { branches } = CASES["convolutions by one weight"]!;
      const once = branches.map((branch) => {
        const tensors = tensorsOf(CASES["convolutions by one weight"]!);
        const n = launches([branch], tensors);
        for (const t of Object.values(tensors)) {
          t.grad?.dispose();
          t.dispose();
        }
        return n;
      });
      const tensors = tensorsOf(CASES["convolutions by one weight"]!);
      expect(launches(branches, tensors)).toBe(once[0]! + once[1]!);
      for (const t of Object.values(tensors)) {
        t.grad?.dispose();
        t.dispose();
      }
    });
  });

  it("that was the seed of the pass is not written to", async () => {
    await withCaps(device, FORMS["in blocks"], async () => {
      const [x, w] = [leaf([2, 8, 8, 16], 1), leaf([1, 1, 16, 16], 2)];
      const seed = randomTensor([2, 8, 8, 16], 3);
      const values = await seed.data();
      // y = x + conv(x): the seed itself is the first gradient that x is sent.
      scope(() => add(mul(x, 1), conv2d(x, w)).backward(seed));
      scope(() => add(x, conv2d(x, w)).backward(seed));
      expect(await seed.data()).toEqual(values);
      for (const t of [x, w]) {
        t.grad!.dispose();
        t.dispose();
      }
      seed.dispose();
    });
  });

  it("may begin with a leaf's own", async () => {
    for (const caps of Object.values(FORMS))
      await withCaps(device, caps, async () => {
        const [x, v, w] = [randomTensor([16, 16], 1), leaf([16, 16], 2), leaf([16, 16], 3)];
        const seed = randomTensor([16, 16], 4);
        const once = async (order: readonly Tensor[], own: boolean) => {
          w.grad = own ? keep(mul(seed, 1)) : null;
          scope(() => add(linear(x, order[0]!), linear(x, order[1]!)).backward(own ? w.grad! : seed));
          const found = [await v.grad!.data(), await w.grad!.data()] as const;
          for (const t of [v, w]) {
            t.grad!.dispose();
            t.grad = null;
          }
          return found;
        };
        for (const order of [
          [v, w],
          [w, v],
        ]) {
          const [dv, dw] = await once(order, false);
          const [dvOwn, dwOwn] = await once(order, true);
          expect(dvOwn).toEqual(dv);
          const before = await seed.data();
          expect(dwOwn).toEqual(dw.map((g, i) => Math.fround(before[i]! + g)));
        }
        // A leaf that is the root itself.
        v.grad = keep(mul(seed, 1));
        v.backward(v.grad);
        expect(await v.grad.data()).toEqual((await seed.data()).map((g) => 2 * g));
        for (const t of [v.grad, x, v, w, seed]) t.dispose();
      });
  });

  it("are no input of the pass that changes them", async () => {
    const [x, v, w] = [randomTensor([16, 16], 1), leaf([16, 16], 2), leaf([16, 16], 3)];
    w.grad = keep(randomTensor([16, 16], 4));
    scope(() => {
      const y = add(linear(w.grad!, v), linear(x, w));
      expect(() => y.backward(randomTensor(y.shape, 5))).toThrow(LifetimeError);
    });
    for (const t of [x, v, w, w.grad, v.grad]) t?.dispose();
  });

  it("are in memory of their own where a recorded step begins them", async () => {
    const w = Tensor.from(new Float32Array(64).fill(1), [8, 8]);
    w.requiresGrad = true;
    const body = () =>
      scope(() => {
        scope(() => void [1, 2, 3, 4, 5].map(() => mul(w.detach(), 5)));
        sum(mul(w, 2)).backward();
      });
    const recorded = recordStep(body);
    recorded.replay();
    recorded.replay();
    expect(await w.grad!.data()).toEqual(new Float32Array(64).fill(6));
    recorded.dispose();
    for (const t of [w.grad!, w]) t.dispose();
  });

  it("are those of a recorded step, run after run", async () => {
    await withCaps(device, FORMS["in blocks"], async () => {
      const [x, w] = [randomTensor([2, 8, 8, 16], 1), leaf([3, 3, 16, 16], 2)];
      const seed = randomTensor([2, 8, 8, 16], 3);
      const pass = () =>
        scope(() => {
          const y = conv2d(relu(conv2d(x, w, null, { padding: 1 })), w, null, { padding: 1 });
          y.backward(seed);
        });
      pass();
      const one = await w.grad!.data();
      pass();
      const recorded = recordStep(pass);
      recorded.replay();
      const four = await w.grad!.data();
      const size = Math.max(...one.map(Math.abs));
      for (const [i, v] of four.entries()) expect(Math.abs(v - 4 * one[i]!)).toBeLessThanOrEqual(1e-5 * size);
      recorded.dispose();
      for (const t of [x, w, w.grad!, seed]) t.dispose();
    });
  });
});
