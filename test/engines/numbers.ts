/**
 * What the package computes, as numbers: operations with their gradients, the norms, the passport
 * branch, training steps of several networks, a verdict. One source for every engine.
 */
import type * as Pan from "../support/entries";
import { operationsOf } from "./operations";

/** What came of it; plain data, so that it travels out of a page or a process. */
export interface EngineNumbers {
  adapter: string;
  subgroupSize: number;
  /** Values by name: results and, behind `d0`, `d1`, …, the gradients of the operands. */
  numbers: Record<string, number[]>;
  /** Verdicts and other words, which must be the same everywhere. */
  words: Record<string, string>;
}

export async function engineNumbers(pan: typeof Pan, options: Pan.InitOptions = {}): Promise<EngineNumbers> {
  const device = await pan.init(options);
  const numbers: Record<string, number[]> = {};
  const words: Record<string, string> = {};

  /** Between −1 and 1, none of them near 0, where signs and kinks would hang on rounding. */
  const values = (count: number, seed: number): Float32Array<ArrayBuffer> => {
    const random = new pan.Generator(seed);
    return Float32Array.from({ length: count }, () => (random.integer(2) ? 1 : -1) * random.uniform(0.05, 1));
  };
  const tensor = (shape: readonly number[], seed: number): Pan.Tensor =>
    pan.Tensor.from(
      values(
        shape.reduce((a, n) => a * n, 1),
        seed,
      ),
      shape,
    );
  const read = async (name: string, t: Pan.Tensor): Promise<void> => void (numbers[name] = [...(await t.data())]);

  for (const [index, [name, shapes, call]] of operationsOf(pan).entries()) {
    const operands = shapes.map((shape, i) => tensor(shape, 100 * index + i));
    for (const x of operands) x.requiresGrad = true;
    const y = call(...operands);
    y.backward(tensor(y.shape, 100 * index + 50));
    await read(name, y);
    for (const [i, x] of operands.entries()) await read(`${name} d${i}`, x.grad!);
  }

  await trainAll();
  await passports();
  return { adapter: device.name, subgroupSize: device.caps.subgroupSize, numbers, words };

  /** Losses of a few steps, and sums over every trained tensor. */
  async function train(name: string, model: Pan.Network, set: Pan.TrainingSet, lr: number): Promise<void> {
    const optimizer = name.startsWith("PointNet")
      ? new pan.Adam(model.parameters(), { lr })
      : new pan.SGD(model.parameters(), { lr, momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
    const trainer = new pan.Trainer(model, optimizer, { batchSize: 6, seed: 5, readEvery: 1 });
    for await (const _ of trainer.fit(set, { epochs: 1 })) {
      // Read below.
    }
    numbers[`${name}: losses`] = trainer.history.steps.map((step) => step.loss);
    const state = await model.stateDict();
    numbers[`${name}: tensors`] = [...state.values()].map((t) =>
      pan.toFloat32(t).reduce((sum, v) => sum + Math.abs(v), 0),
    );
    optimizer.dispose();
  }

  function pictures(count: number, size: number): Pan.ImageSet {
    const random = new pan.Generator(11);
    const pixels = Uint8Array.from({ length: count * 3 * size * size }, () => random.integer(256));
    const classes = Uint8Array.from({ length: count }, (_, i) => i % 3);
    return pan.imageSet({
      images: pixels,
      labels: classes,
      channels: 3,
      height: size,
      width: size,
      classes: ["a", "b", "c"],
    });
  }

  async function trainAll(): Promise<void> {
    const common = { classes: 3, scheme: "pan" } as const;
    const residual = pan.resNetConfig([1, 1, 1, 1], { ...common, width: 8, passports: { layer4: true } });
    const resNet = pan.buildNetwork(residual, { seed: 3 });
    await train("ResNet, passport-aware", resNet, pictures(12, 32), 0.01);
    resNet.dispose();
    const v2 = { ...common, scheme: "v2", width: 0.125, passports: { 4: true, 5: true } } as const;
    const alexNet = pan.buildNetwork(pan.alexNetConfig(v2), { seed: 4 });
    await train("AlexNet, V2", alexNet, pictures(12, 32), 0.01);
    alexNet.dispose();
    const points = pan.buildNetwork(
      pan.pointNetConfig({ ...common, width: 0.0625, dropout: 0, points: 64, passports: { p3: true } }),
      { seed: 5 },
    );
    const clouds = pan.pointSet({
      points: values(12 * 64 * 3, 6),
      labels: Uint8Array.from({ length: 12 }, (_, i) => i % 3),
      classes: ["a", "b", "c"],
      pointsPerCloud: 64,
    });
    await train("PointNet, passport-aware", points, clouds, 0.001);
    points.dispose();
  }

  /** A bound network: what follows from its secret, γ of it, and what a verifier says. */
  async function passports(): Promise<void> {
    const model = pan.buildNetwork(
      {
        classes: 3,
        input: [8, 8, 3],
        layers: [{ channels: 8, kernel: 3, padding: 1 }, "pool", { channels: 160, kernel: 3, padding: 1 }],
        scheme: "pan",
        passports: { 2: true },
      },
      { seed: 3 },
    );
    const binding = { statement: "an engine's own", secret: "5".repeat(64) };
    await pan.bind(model, binding);
    await train("bound network", model, pictures(48, 8), 0.05);
    for (const [layer, { gamma, beta }] of await model.readGammaBeta()) {
      numbers[`γ of ${layer}`] = [...gamma];
      numbers[`β of ${layer}`] = [...beta];
    }
    const deployed = await model.deployed();
    const credential = await pan.boundCredential(await model.credential({ public: 0, private: 0 }), binding);
    const { verdict, mark } = await pan.verify(deployed, credential);
    words["verdict"] = `${verdict}, ${mark?.bits?.hits} of ${mark?.bits?.count} bits`;
    model.dispose();
  }
}
