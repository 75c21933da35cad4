import type * as Pan from "../support/entries";

/** What five training steps came to; plain data, so that it travels out of a page. */
export interface StepsOutcome {
  adapter: string;
  /**
   * Whether this WebGPU has immediates at all; without them sizes travel through a uniform buffer.
   */
  hasImmediates: boolean;
  /** L = public + private + sign loss of each step. */
  losses: number[];
  /** Name → (Σ w, Σ |w|) of every trained tensor after the last step. */
  weights: Record<string, [sum: number, magnitude: number]>;
  /** FNV-1a over the bits of all tensors: equal for equal bits alone. */
  hash: number;
  /** What `evaluate` says of the training images. */
  accuracy: { public?: number; private?: number };
}

/**
 * Trains a small passport network for five steps on made-up images. One source for the browser and
 * for Node: it gets the package handed in and imports nothing, so that a page can load it as it is.
 */
export async function trainSteps(pan: typeof Pan, options: Pan.InitOptions = {}): Promise<StepsOutcome> {
  const device = await pan.init(options);
  const [classes, height, width, channels] = [["left", "right", "both"], 8, 8, 3];
  const random = new pan.Generator(11);
  const labels = Uint8Array.from({ length: 40 }, (_, i) => i % classes.length);
  const images = new Uint8Array(labels.length * channels * height * width);
  images.forEach((_, i) => {
    const [image, column] = [Math.floor(i / (channels * height * width)), i % width];
    const lit = labels[image] === 2 || (labels[image] === 0) === column < width / 2;
    images[i] = random.integer(100) + (lit ? 120 : 0);
  });
  const set = pan.imageSet({ images, labels, channels, height, width, classes });

  const model = pan.buildNetwork(
    {
      classes: classes.length,
      input: [height, width, channels],
      layers: [{ channels: 8, kernel: 3, padding: 1 }, "pool", { channels: 16, kernel: 3, padding: 1 }],
      scheme: "pan",
      passports: { 2: "ab" },
    },
    { seed: 3 },
  );
  const optimizer = new pan.SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new pan.Trainer(model, optimizer, { batchSize: 8, seed: 5, readEvery: 1 });
  for await (const _epoch of trainer.fit(set, { epochs: 1 }));

  const state = await model.stateDict();
  const weights: StepsOutcome["weights"] = {};
  let hash = 0x811c9dc5;
  for (const [name, tensor] of [...state].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const values = pan.toFloat32(tensor);
    weights[name] = [values.reduce((a, v) => a + v, 0), values.reduce((a, v) => a + Math.abs(v), 0)];
    for (const byte of new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return {
    adapter: device.name,
    hasImmediates: "setImmediates" in GPUComputePassEncoder.prototype,
    losses: trainer.history.steps.map((step) => step.loss),
    weights,
    hash,
    accuracy: await pan.evaluate(model, set),
  };
}
