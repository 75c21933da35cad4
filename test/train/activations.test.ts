/** Activations that wait for the backward pass in f16. */
import { beforeAll, expect, it } from "vitest";
import { imageSet } from "../../src/data/sample-set";
import { OverflowError } from "../../src/errors";
import { buildNetwork, resNetConfig } from "../../src/models";
import { Conv2d } from "../../src/nn/conv";
import { Flatten, ReLU, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { SGD } from "../../src/optim/sgd";
import { add, mul, relu, reshape } from "../../src/tensor/ops/elementwise";
import { maxPool2d } from "../../src/tensor/ops/pool";
import { conv2d } from "../../src/tensor/ops/products/conv";
import { sum } from "../../src/tensor/ops/reduce";
import { packingSaved } from "../../src/tensor/packing";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { memoryStore } from "../support/tiny";

beforeAll(() => gpu());

const random = new Generator(1);
const images = imageSet({
  images: Uint8Array.from({ length: 24 * 32 * 32 * 3 }, () => random.integer(256)),
  labels: Uint8Array.from({ length: 24 }, (_, i) => i % 3),
  ...{ channels: 3, height: 32, width: 32, classes: ["a", "b", "c"] },
});
const RESNET = resNetConfig([1, 1, 1, 1], { scheme: "pan", width: 8, classes: 3, passports: { layer4: true } });

const counter = () => Tensor.full([1], 0, "u32");
const values = (n: number, scale = 1) => Float32Array.from({ length: n }, () => scale * random.normal());
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
      1,
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
      const loss = packed ? packingSaved(beyond, forward, patience) : forward();
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

async function train(options: TrainerOptions, network = buildNetwork(RESNET, { seed: 1 }), epochs = 1) {
  const optimizer = new SGD(network.parameters(), { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new Trainer(network, optimizer, { batchSize: 6, seed: 2, readEvery: 1, ...options });
  for await (const _ of trainer.fit(images, { epochs }));
  return trainer.history.steps.map(({ loss }) => loss);
}

it("trains as in f32, replayed, in parts, and beside what is computed again", async () => {
  const plain = await train({});
  const packed = await train({ activations: "f16" });
  plain.forEach((loss, i) => expect(Math.abs(packed[i]! - loss)).toBeLessThan(0.02 * loss));
  expect(packed).not.toEqual(plain);
  expect(await train({ activations: "f16", replay: false })).toEqual(packed);
  const parts = await train({ activations: "f16", accumulate: 2, recompute: ["layer1"] });
  const inParts = await train({ accumulate: 2 });
  parts.forEach((loss, i) => expect(Math.abs(loss - inParts[i]!)).toBeLessThan(0.02 * inParts[i]!));
});

it("says when activations do not fit, and goes on in f32 from the checkpoint", async () => {
  const conv = new Conv2d(3, 8, 3, { padding: 1 });
  const network = new Sequential(
    conv,
    new ReLU(),
    new Conv2d(8, 8, 3, { padding: 1 }),
    new ReLU(),
    new Flatten(),
    new Linear(8 * 32 * 32, 3),
  );
  conv.weight.write(values(3 * 3 * 3 * 8, 1e5));
  (network.layers[2] as Conv2d).weight.write(values(3 * 3 * 8 * 8, 1e-6));
  const checkpoints = memoryStore();
  const optimizer = new SGD(network.parameters(), { lr: 1e-9 });
  const begin = (more: TrainerOptions, epochs: number) => {
    const trainer = new Trainer(network, optimizer, { checkpoints, batchSize: 6, ...more });
    return trainer.fit(images, { epochs, resume: epochs > 1 });
  };
  for await (const _ of begin({}, 1));
  const going = async () => {
    for await (const _ of begin({ activations: "f16" }, 2));
  };
  await expect(going()).rejects.toThrow(OverflowError);
  await expect(going()).rejects.toThrow(
    /f16's largest number, at step \d+ or just before: train with activations: "f32"/,
  );
  const records: number[] = [];
  for await (const { epoch } of begin({}, 2)) records.push(epoch);
  expect(records).toEqual([2]);
});

it("refuses another type", () => {
  const network = buildNetwork(RESNET, { seed: 1 });
  const optimizer = new SGD(network.parameters(), { lr: 0.1 });
  expect(() => new Trainer(network, optimizer, { activations: "bf16" as never })).toThrow(
    /activations.*"f32".*"f16".*"bf16"/,
  );
});
