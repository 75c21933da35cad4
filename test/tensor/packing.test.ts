/** Values that wait for a backward pass in f16. */
import { beforeAll, expect, it } from "vitest";
import { scaledDotProductAttention } from "../../src/tensor/ops/attention";
import {
  add,
  clamp,
  div,
  log,
  maximum,
  minimum,
  mul,
  pow,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  where,
} from "../../src/tensor/ops/elementwise";
import { crossEntropy, mseLoss } from "../../src/tensor/ops/loss";
import { concat, flip } from "../../src/tensor/ops/movement";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "../../src/tensor/ops/norm/norm";
import { maxPool2d } from "../../src/tensor/ops/pool";
import { conv2d } from "../../src/tensor/ops/products/conv";
import { amax, amin, norm, sum, variance } from "../../src/tensor/ops/reduce";
import { softmax } from "../../src/tensor/ops/softmax";
import { packingSaved } from "../../src/tensor/packing";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { operationsOf } from "../engines/operations";
import * as pan from "../support/entries";
import { gpu } from "../support/gpu";

beforeAll(() => gpu());

const random = new Generator(1);
const counter = () => Tensor.full([1], 0, "u32");
const values = (n: number) => Float32Array.from({ length: n }, () => random.normal());
/** The nearest number of f16, of numbers that are no subnormal there. */
function nearestHalf(x: number): number {
  const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 10);
  return Math.round(x / step) * step;
}

it("keeps what waits in half the memory, rounded, and gives it back when it is asked for", async () => {
  const n = 1 << 14;
  const [data, beyond] = [values(n), counter()];
  data.set([0, -0, Number.NaN, 65504, -65504]);
  const x = Object.assign(Tensor.from(data), { requiresGrad: true });
  const before = memory().bytes;
  // y = x·1 is kept by its square, and four operations go by.
  const [y, later] = packingSaved(beyond, () => {
    const y = mul(x, Tensor.full([n], 1));
    mul(y, y);
    const later = scope(() => {
      let z = Object.assign(Tensor.full([8], 1), { requiresGrad: true });
      for (let i = 0; i < 5; i++) z = relu(z);
      return z;
    });
    return [y, later];
  });
  later.dispose();
  const version = y.version;
  const packed = memory().bytes;
  const found = await y.data();
  expect(memory().bytes - packed).toBe(2 * n);
  expect(packed - before).toBeLessThan(4 * 4 * n);
  expect(y.version).toBe(version);
  found.forEach((v, i) => {
    const given = data[i]!;
    if (Number.isNaN(given)) expect(v).toBeNaN();
    else if (Math.abs(given) < 2 ** -14) expect(Math.abs(v - given)).toBeLessThanOrEqual(2 ** -24);
    else expect(Math.abs(v - nearestHalf(given))).toBeLessThanOrEqual(2 ** -10 * Math.abs(given));
  });
  // Parameters and inputs are nobody's results.
  expect(await x.data()).toEqual(data);
  expect(await beyond.data<"u32">()).toEqual(Uint32Array.of(0));
});

it("never packs a parameter, nor a view of one", async () => {
  const data = values(1 << 14);
  const w = keep(Object.assign(Tensor.from(data, [128, 128]), { requiresGrad: true }));
  const x = Tensor.from(values(1 << 14), [128, 128]);
  scope(() => {
    const loss = packingSaved(
      counter(),
      () => {
        let h = mul(x, reshape(w, [128, 128]));
        for (let i = 0; i < 6; i++) h = mul(relu(h), reshape(w, [128, 128]));
        return sum(h);
      },
      { patience: 1 },
    );
    loss.backward();
  });
  expect(await w.data()).toEqual(data);
  w.dispose();
});

/** A network with a skip connection, whose numbers are whole and small: exact in f16. */
it.each([
  1, 2, 4,
])("gives the same gradients to the bit where rounding changes nothing: patience %i", async (patience) => {
  const whole = (shape: Shape, most: number) => {
    const n = shape.reduce((a, b) => a * b);
    const data = Float32Array.from({ length: n }, () => random.integer(2 * most + 1) - most);
    return keep(Object.assign(Tensor.from(data, shape), { requiresGrad: true }));
  };
  const [x, a, b, c] = [
    whole([4, 16, 16, 8], 2),
    whole([3, 3, 8, 8], 1),
    whole([3, 3, 8, 8], 1),
    whole([3, 3, 8, 8], 1),
  ];
  const beyond = counter();
  async function gradients(packed: boolean) {
    const saved = scope(() => {
      const before = memory().bytes;
      const forward = () =>
        scope(() => {
          const skipped = relu(conv2d(x, a, null, { padding: 1 }));
          const pooled = maxPool2d(relu(conv2d(skipped, b, null, { padding: 1 })), 2);
          const last = conv2d(pooled, c, null, { padding: 1 });
          return add(sum(mul(relu(last), 2 ** -6)), sum(mul(skipped, skipped)));
        });
      const loss = packed ? packingSaved(beyond, forward, { patience }) : forward();
      const bytes = memory().bytes - before;
      loss.backward();
      return bytes;
    });
    const found = [];
    for (const t of [x, a, b, c]) {
      found.push(await t.grad!.data());
      t.zeroGrad();
    }
    return { saved, found };
  }
  const [plain, packed] = [await gradients(false), await gradients(true)];
  expect(packed.found).toEqual(plain.found);
  expect(packed.saved).toBeLessThan((patience === 1 ? 0.7 : 0.9) * plain.saved);
  expect(await beyond.data<"u32">()).toEqual(Uint32Array.of(0));
  for (const t of [x, a, b, c]) t.dispose();
});

it("gives the gradients of every operation to the digits of f16, its operands packed", async () => {
  const beyond = counter();
  /** Between −1 and 1, none near 0, in f16: what changes are results within an operation. */
  const tensor = (shape: Shape) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: n }, () => (random.integer(2) ? 1 : -1) * (random.integer(900) + 100));
    return Tensor.from(
      data.map((v) => v / 1024),
      shape,
    );
  };
  const far: string[] = [];
  for (const [name, shapes, call] of operationsOf(pan)) {
    const operands = shapes.map((shape) => Object.assign(tensor(shape), { requiresGrad: true }));
    let seed: Tensor | null = null;
    const gradients = async (packed: boolean) => {
      const forward = () =>
        scope(() => {
          const y = call(...operands.map((x) => mul(x, 1)));
          // Two operations more, so that all of its own have waited.
          return mul(mul(y, 1), 1);
        });
      const y = packed ? packingSaved(beyond, forward, { patience: 1, least: 0 }) : forward();
      seed ??= tensor(y.shape);
      y.backward(seed);
      const found = [];
      for (const x of operands) {
        found.push(await x.grad!.data());
        x.zeroGrad();
      }
      return found;
    };
    const [plain, packed] = [await gradients(false), await gradients(true)];
    for (const [i, g] of plain.entries()) {
      const largest = g.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6);
      const worst = g.reduce((most, v, k) => Math.max(most, Math.abs(v - packed[i]![k]!) / largest), 0);
      if (!(worst < 4e-3)) far.push(`${name} d${i}: ${worst}`);
    }
  }
  expect(far).toEqual([]);
  expect(await beyond.data<"u32">()).toEqual(Uint32Array.of(0));
});

const tiny = (x: Tensor) => mul(x, 1e-9);
it.each<[string, (x: Tensor) => Tensor]>([
  ["log", (x) => log(tiny(x))],
  ["sqrt", (x) => sqrt(mul(x, 1e-18))],
  ["pow, less than 1", (x) => pow(tiny(x), 0.5)],
  ["pow, negative", (x) => pow(tiny(x), -1)],
  ["div", (x) => div(x, tiny(x))],
  ["norm", (x) => norm(tiny(x))],
  ["softmax of long lines, then log", (x) => log(softmax(concat([mul(x, 30), Tensor.full([4, 5000], 0)], 1)))],
  ["amax", (x) => amax(mul(x, 1.2345), 1)],
  ["amin", (x) => amin(mul(x, 1.2345), [0, 1])],
  ["maximum, of equal numbers", (x) => maximum(mul(x, 1), x)],
  ["maximum, of small numbers", (x) => maximum(tiny(x), 0)],
  ["minimum, of small numbers", (x) => minimum(tiny(x), mul(x, 1e-10))],
  ["div, of small numbers", (x) => div(tiny(x), tiny(add(x, 1)))],
  ["clamp, on a bound", (x) => clamp(add(sub(x, x.detach()), 0.1), 0.1, 1)],
  ["where, of a small condition", (x) => where(tiny(x), x, mul(x, 2))],
  ["crossEntropy of large logits", (x) => crossEntropy(mul(x, 3000.7), [0, 1, 2, 3])],
  ["crossEntropy of large logits, weighted", (x) => crossEntropy(mul(x, 3000.7), [0, 1, 2, 3], { ignoreIndex: 3 })],
  ["mseLoss of large numbers", (x) => mseLoss(add(x, 1000), Tensor.full([4, 6], 1001))],
])("%s: has the gradient of f32 where rounding would leave all bounds", async (_, f) => {
  const beyond = counter();
  const data = Float32Array.from({ length: 24 }, (_, i) => 0.5 + ((7 * i) % 24) / 24);
  const x = Object.assign(Tensor.from(data, [4, 6]), { requiresGrad: true });
  const gradient = async (packed: boolean) => {
    const forward = () => scope(() => [1, 2, 3, 4].reduce((y) => mul(y, 1), f(x)));
    const y = packed ? packingSaved(beyond, forward, { patience: 2, least: 64 }) : forward();
    y.backward(y.newFull(y.shape, 1));
    const g = await x.grad!.data();
    x.zeroGrad();
    return g;
  };
  const [plain, packed] = [await gradient(false), await gradient(true)];
  const largest = plain.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  expect(largest).toBeGreaterThan(0);
  packed.forEach((v, i) => expect(Math.abs(v - plain[i]!)).toBeLessThanOrEqual(4e-3 * largest));
  expect(await beyond.data<"u32">()).toEqual(Uint32Array.of(0));
});

it("counts nothing that lies behind the last number", async () => {
  const many = Array.from({ length: 8 }, () => Tensor.full([4100], 1e30));
  await many[7]!.data();
  for (const t of many) t.dispose();
  const beyond = counter();
  const x = Object.assign(Tensor.from(Float32Array.from({ length: 4097 }, (_, i) => Math.sin(i))), {
    requiresGrad: true,
  });
  const held = packingSaved(
    beyond,
    () =>
      scope(() => {
        // What flips writes its numbers alone, and not the rest of the last vector.
        let y: Tensor = x;
        for (let i = 0; i < 8; i++) y = mul(flip(y, [0]), y);
        return y;
      }),
    { patience: 1 },
  );
  expect(await beyond.data<"u32">()).toEqual(Uint32Array.of(0));
  held.dispose();
});

/** Gradient of `body`'s loss by x, with what waits rounded and without. */
async function gradients(data: Float32Array, shape: Shape, body: (x: Tensor) => Tensor) {
  const found: Float32Array[] = [];
  for (const packed of [false, true]) {
    const x = Object.assign(Tensor.from(data, shape), { requiresGrad: true });
    const loss = packingSaved(
      packed ? counter() : null,
      () => {
        // A result, since inputs are never rounded.
        const y = body(mul(x, 1));
        let later = Object.assign(Tensor.full([8], 1), { requiresGrad: true });
        for (let i = 0; i < 6; i++) later = relu(later);
        return y;
      },
      { patience: 1, least: 0 },
    );
    loss.backward();
    found.push(await x.grad!.data());
  }
  return found as [Float32Array, Float32Array];
}

const apart = ([a, b]: readonly [Float32Array, Float32Array]): number => {
  const most = a.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0) / most;
};

it.each<[string, Shape, (x: Tensor, weights: Tensor) => Tensor]>([
  ["batch norm", [64, 6], (x, w) => sum(mul(batchNorm(x, { training: true }), w))],
  ["batch norm of images", [4, 4, 4, 6], (x, w) => sum(mul(batchNorm(x, { training: true }), w))],
  ["group norm", [4, 16, 6], (x, w) => sum(mul(groupNorm(x, 3), w))],
  ["instance norm", [4, 16, 6], (x, w) => sum(mul(instanceNorm(x), w))],
  ["layer norm", [32, 12], (x, w) => sum(mul(layerNorm(x, [12]), w))],
  ["variance", [64, 6], (x, w) => sum(mul(variance(x, 0), selectRow(w)))],
])("%s of numbers far from 0 has the gradients of f32, but for their rounding about the mean", async (_, shape, f) => {
  const n = shape.reduce((a, b) => a * b, 1);
  const weights = keep(Tensor.from(values(n), shape));
  const data = Float32Array.from({ length: n }, () => 1000 + 0.1 * random.normal());
  expect(apart(await gradients(data, shape, (x) => f(x, weights)))).toBeLessThan(5e-3);
  weights.dispose();
});

const selectRow = (w: Tensor): Tensor => reshape(sum(w, 0), [w.shape[1]!]);

it("attention's exponents are not rounded", async () => {
  const [q, k, v] = [10, 10, 1].map((scale) => values(2 * 8 * 16).map((x) => scale * x));
  const [keys, inputs] = [k!, v!].map((data) => keep(Tensor.from(data, [2, 8, 2, 8])));
  const found = await gradients(q!, [2, 8, 2, 8], (x) =>
    sum(square(scaledDotProductAttention(x, mul(keys!, 1), inputs!))),
  );
  // What is left is the rounding of its result; rounded exponents were off by five times as much.
  expect(apart(found)).toBeLessThan(8e-3);
  for (const t of [keys!, inputs!]) t.dispose();
});
