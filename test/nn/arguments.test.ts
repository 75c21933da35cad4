import { describe, expect, it } from "vitest";
import { PanError } from "../../src/errors";
import { shown } from "../../src/io/shown";
import * as models from "../../src/models";
import * as nn from "../../src/nn";
import * as optim from "../../src/optim";
import { protect } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import { Tensor } from "../../src/tensor/tensor";
import * as train from "../../src/train";
import type { Fit } from "../../src/train/fit";
import { gpu } from "../support/gpu";
import { TINY_PLAIN, tinySet } from "../support/tiny";

await gpu();

const { scheme: _, ...ORDINARY } = TINY_PLAIN;
const GARBAGE = [
  undefined,
  null,
  {},
  [],
  "x",
  Number.NaN,
  -1,
  0.5,
  Infinity,
  1e9,
  () => 1,
  true,
  Symbol("s"),
  new Map(),
];

const model = new models.ConvNet(ORDINARY);
const sgd = new optim.SGD(model, { lr: 0.1 });
const one = () => [Tensor.full([1], 1)];

/**
 * Arguments that are accepted, for those that take some: garbage takes the place of each in turn.
 */
const ACCEPTED: Record<string, () => unknown[]> = {
  Conv1d: () => [2, 2, 3, { padding: 1 }],
  Conv2d: () => [2, 2, 3, { padding: 1 }],
  ConvTranspose2d: () => [2, 2, 3, { padding: 1 }],
  Linear: () => [2, 2, { bias: true }],
  MultiheadAttention: () => [4, 2, { bias: true }],
  Embedding: () => [3, 2, { paddingIdx: 0 }],
  BatchNorm: () => [2, { eps: 1 }],
  GroupNorm: () => [1, 2, { eps: 1 }],
  InstanceNorm: () => [2, { eps: 1 }],
  LayerNorm: () => [2, { eps: 1 }],
  RMSNorm: () => [2, { eps: 1 }],
  ChannelAffine: () => [2, { relu: true }],
  protect: () => [
    new nn.Sequential(new nn.Linear(2, 2), new nn.BatchNorm(2)),
    { scheme: "pan", at: true, sample: [1, 2], random: new Generator(1) },
  ],
  Dropout: () => [0.1, {}],
  MaxPool2d: () => [2, {}],
  AvgPool2d: () => [2, {}],
  AdaptiveAvgPool2d: () => [2],
  Upsample: () => [{ scale: 2 }],
  LeakyReLU: () => [0.1],
  GELU: () => [{ approximate: "tanh" }],
  Sequential: () => [new nn.ReLU()],
  fans: () => [[2, 2]],
  gain: () => ["leakyRelu", 0.1],
  kaimingNormal: () => [[2, 2], undefined, { gain: 1 }],
  kaimingUniform: () => [[2, 2], undefined, { gain: 1 }],
  xavierNormal: () => [[2, 2], undefined, 1],
  xavierUniform: () => [[2, 2], undefined, 1],
  parameter: () => [Tensor.full([1], 1), "same"],
  buffer: () => [Tensor.full([1], 1), "same"],
  SGD: () => [one(), { lr: 1 }],
  Adam: () => [one(), { lr: 1 }],
  AdamW: () => [one(), { lr: 1 }],
  ExponentialMovingAverage: () => [model, { decay: 0.9 }],
  stepLR: () => [{ stepSize: 1 }],
  multiStepLR: () => [{ milestones: [1] }],
  cosineLR: () => [{ epochs: 2 }],
  warmupLR: () => [() => 1, { epochs: 2 }],
  Trainer: () => [model, sgd, { batchSize: 6 }],
  evaluate: () => [model, tinySet(6, 1), { batchSize: 6 }],
  ConvNet: () => [ORDINARY, { seed: 1 }],
};

/** Each option of the option objects above, to be given garbage too. */
const OPTIONS: Record<string, readonly string[]> = {
  Conv1d: ["stride", "padding", "dilation", "groups", "bias", "random"],
  Conv2d: ["stride", "padding", "dilation", "groups", "bias", "init", "random"],
  ConvTranspose2d: ["stride", "padding", "outputPadding", "dilation", "groups", "bias", "random"],
  Linear: ["bias", "random"],
  MultiheadAttention: ["bias", "kdim", "vdim", "random"],
  Embedding: ["paddingIdx", "random"],
  BatchNorm: ["eps", "momentum", "affine", "relu"],
  GroupNorm: ["eps", "affine", "relu"],
  InstanceNorm: ["eps", "affine", "relu"],
  LayerNorm: ["eps", "affine", "relu"],
  RMSNorm: ["eps", "affine", "relu"],
  ChannelAffine: ["affine", "relu"],
  protect: ["scheme", "at", "sample", "signature", "fc", "statistics", "separate", "random"],
  Dropout: ["random"],
  MaxPool2d: ["stride", "padding", "ceilMode"],
  AvgPool2d: ["stride", "padding", "ceilMode", "countIncludePad"],
  Upsample: ["size", "scale", "mode", "alignCorners"],
  GELU: ["approximate"],
  kaimingNormal: ["mode", "gain"],
  SGD: ["lr", "momentum", "dampening", "nesterov", "weightDecay"],
  Adam: ["lr", "betas", "eps", "weightDecay"],
  AdamW: ["lr", "betas", "eps", "weightDecay"],
  ExponentialMovingAverage: ["decay", "useBuffers"],
  stepLR: ["stepSize", "gamma"],
  multiStepLR: ["milestones", "gamma"],
  cosineLR: ["epochs", "etaMin", "warmup", "startFactor"],
  warmupLR: ["epochs", "startFactor"],
  Trainer: [
    ...["mode", "triggers", "signLoss", "regularizer", "trunkUpdates", "schedule", "batchSize", "accumulate", "replay"],
    ...["seed", "transform", "testTransform", "checkpoints", "best", "earlyStop", "readEvery", "onProgress", "onEpoch"],
  ],
  evaluate: ["branches", "batchSize", "transform"],
  ConvNet: ["seed"],
};

/** Networks that need no arguments. */
const BUILT = new Set(["AlexNet", "ResNet9", "ResNet18", "PointNet"]);

/**
 * Not called with garbage here: classes to be extended, and functions that take what others of the
 * package gave.
 */
const LEFT_OUT = new Set([
  ...["Module", "Norm", "Optimizer"],
  ...["clipGradNorm", "clipGradValue"],
  ...["encodeCheckpoint", "decodeCheckpoint", "bestEpoch", "epochsCsv", "meanAccuracy", "stepsCsv"],
  ...["trunkUpdates", "transformPenalty"],
  ...["withoutDuplicates"],
  ...["buildNetwork", "buildPlain", "checkConfig", "deployedConfig", "loadDeployed", "readCredential"],
  ...["alexNetConfig", "resNetConfig", "pointNetConfig"],
  ...["setImagePassports", "countSigns"],
]);

const EXPORTS = Object.entries({ ...nn, ...optim, ...train, ...models, protect })
  .filter(([name, f]) => typeof f === "function" && !LEFT_OUT.has(name))
  .map(([name, f]) => [name, f as (...args: unknown[]) => unknown] as const);

/** What a call threw, now or later; null where it went well. */
async function thrown(f: (...args: unknown[]) => unknown, args: readonly unknown[]): Promise<unknown> {
  try {
    const result = /^class\b/.test(Function.prototype.toString.call(f)) ? Reflect.construct(f, args) : await f(...args);
    if (result instanceof nn.Module || result instanceof optim.Optimizer || result instanceof Tensor) result.dispose();
    return null;
  } catch (error) {
    return error;
  }
}

const show = (args: readonly unknown[]) => args.map(shown).join(", ");

function* argumentsFor(name: string): Iterable<unknown[]> {
  if (!BUILT.has(name)) yield [];
  // Whole networks are built where nothing is said: once is enough.
  const garbage = BUILT.has(name) ? GARBAGE.filter((g) => g !== undefined && JSON.stringify(g) !== "{}") : GARBAGE;
  for (const g of garbage) for (const n of [1, 2, 3, 4]) yield Array(n).fill(g);
  const accepted = ACCEPTED[name];
  if (!accepted) return;
  for (const i of accepted().keys()) for (const g of GARBAGE) yield accepted().with(i, g);
  const last = accepted().length - 1;
  for (const option of [...(OPTIONS[name] ?? []), "unknown"])
    for (const g of GARBAGE) yield accepted().with(last, { ...(accepted()[last] as object), [option]: g });
}

describe("wrong arguments are refused by an error of the package, at once", () => {
  it.each(EXPORTS)("%s", async (name, f) => {
    if (ACCEPTED[name]) expect(await thrown(f, ACCEPTED[name]()), "what is accepted").toBeNull();
    for (const args of argumentsFor(name)) {
      const started = performance.now();
      const error = await thrown(f, args);
      const what = `${name}(${show(args)})`;
      if (error !== null && !(error instanceof PanError)) expect.fail(`${what} threw ${(error as Error).stack}`);
      if (error) expect((error as Error).message.length, what).toBeLessThan(600);
      if (error && performance.now() - started > 1000) expect.fail(`${what} took ${performance.now() - started} ms`);
    }
  });

  it.each(["fit", "stop", "restoreBest"] as const)("Trainer.%s", async (method) => {
    const trainer = new train.Trainer(model, sgd, { batchSize: 6 });
    const call = async (...args: unknown[]) => {
      const result: unknown = (trainer[method] as (...a: unknown[]) => unknown)(...args);
      // Awaited, a run of a great many epochs would be trained to its end.
      if (method === "fit") await (result as Fit).next();
      else await result;
    };
    for (const g of GARBAGE)
      for (const args of [
        [],
        [g],
        [g, g],
        [tinySet(6, 1), g],
        [tinySet(6, 1), { epochs: g }],
        [tinySet(6, 1), { epochs: 1, test: g, resume: g }],
      ]) {
        const error = await thrown(call, args);
        if (error !== null && !(error instanceof PanError))
          expect.fail(`${method}(${show(args)}) threw ${(error as Error).stack}`);
      }
  });
});
