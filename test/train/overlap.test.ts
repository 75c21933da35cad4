import { expect, it } from "vitest";
import { buildNetwork } from "../../src/models";
import { setImagePassports } from "../../src/models/image-passports";
import { BatchNorm } from "../../src/nn/batch-norm";
import { Dropout, Flatten, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { manualSeed } from "../../src/nn/random";
import { SGD } from "../../src/optim/sgd";
import { Generator } from "../../src/tensor/random";
import { Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { mapInputs } from "../support/inputs";
import { blockAt, type Network } from "../support/networks";
import { stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

await gpu();

const set = tinySet(36, 1);
const test = tinySet(24, 2);
const flags = (m: Network) => m.namedModules().map(([name, { training }]) => `${name} ${training}`);
const normOf = (m: Network) => blockAt(m, 0).norm as BatchNorm;
/** What happens beside a run, at each reading of the losses and after each epoch. */
type Meanwhile = (model: Network) => unknown;

/** Two epochs of a fresh network, and everything they leave. */
async function run(prepare: (model: Network) => void, meanwhile: Meanwhile = () => {}, awaited = false) {
  const model = buildNetwork(TINY, { seed: 4 });
  prepare(model);
  const optimizer = new SGD(model, { lr: 0.05, momentum: 0.9 });
  const pending: unknown[] = [];
  const trainer = new Trainer(model, optimizer, {
    batchSize: 6,
    readEvery: 1,
    onProgress: () => void (awaited || pending.push(meanwhile(model))),
    onEpoch: async () => void (awaited && (await meanwhile(model))),
  });
  const before = flags(model);
  for await (const _ of trainer.fit(set, { epochs: 2, test }));
  await Promise.all(pending);
  const out = {
    weights: await stateBytes(model),
    losses: trainer.history.steps.map((s) => s.loss),
    accuracies: trainer.history.epochs.map((e) => [e.public, e.private]),
    unchanged: flags(model).join() === before.join(),
  };
  optimizer.dispose();
  model.dispose();
  return out;
}

const asMade = () => {};
const MEANWHILE: [string, Meanwhile][] = [
  ["evaluate", (m) => evaluate(m, test)],
  ["evaluate, twice at once", (m) => Promise.all([evaluate(m, test, { batchSize: 5 }), evaluate(m, set)])],
  ["stateDict", (m) => m.stateDict()],
  ["readSigns and readGammaBeta", (m) => Promise.all([m.readSigns(), m.readGammaBeta()])],
  ["deployed and credential", (m) => Promise.all([m.deployed(), m.credential()])],
  ["setImagePassports, and a pass that is listened to", (m) => inputsOf(m)],
];

async function inputsOf(model: Network): Promise<void> {
  const plain = buildNetwork(TINY_PLAIN, { seed: 1 });
  const other = buildNetwork(TINY, { seed: 2 });
  await setImagePassports(other, plain, test, { random: new Generator(1) });
  expect(plain.training).toBe(true);
  for (const m of [plain, other]) m.dispose();
  const x = Tensor.full([2, 8, 8, 3], 0.5);
  for (const t of [x, ...mapInputs(model, x, "private").values()]) t.dispose();
}

let quiet: Promise<Awaited<ReturnType<typeof run>>> | null = null;
const alone = () => (quiet ??= run(asMade));

it.each(
  MEANWHILE.flatMap(([what, f]) =>
    [false, true].map((awaited) => [what, awaited ? "onEpoch" : "onProgress", f] as const),
  ),
)("%s from %s changes nothing of a training", async (_, from, meanwhile) => {
  expect(await run(asMade, meanwhile, from === "onEpoch")).toEqual(await alone());
});

it("a network in evaluation mode is trained like one in training mode, and stays in it", async () => {
  expect(await run((m) => m.eval())).toEqual(await alone());
});

it("so is one of which only what the passports are put around is in evaluation mode", async () => {
  expect(await run((m) => m.network.eval())).toEqual(await alone());
});

it("so is an ordinary module, whose norms set apart keep their mode", async () => {
  const trained = async (prepare: (net: Sequential, norm: BatchNorm) => void) => {
    manualSeed(1);
    const norm = new BatchNorm(192);
    const net = new Sequential(new Flatten(), norm, new Dropout(0.5), new BatchNorm(192), new Linear(192, 4));
    prepare(net, norm);
    const before = net.namedModules().map(([, m]) => m.training);
    const optimizer = new SGD(net, { lr: 0.05 });
    const trainer = new Trainer(net, optimizer, { batchSize: 6 });
    for await (const _ of trainer.fit(set, { epochs: 1 }));
    expect(net.namedModules().map(([, m]) => m.training)).toEqual(before);
    const [weights, tracked] = [await stateBytes(net), norm.batchesTracked];
    optimizer.dispose();
    net.dispose();
    return { weights, tracked };
  };
  const plain = await trained(() => {});
  expect(plain.tracked).toBe(6);
  expect(await trained((net) => void net.eval())).toEqual(plain);
  const apart = await trained((_, norm) => void norm.eval());
  expect(apart.tracked).toBe(0);
  expect(apart.weights).not.toEqual(plain.weights);
  const alone = (net: Sequential, norm: BatchNorm) => {
    net.eval();
    norm.train();
  };
  expect(await trained(alone)).toEqual(plain);
});

it.each([
  true,
  false,
])("a norm that its user set apart keeps its mode, in a network whose flag is %s", async (training) => {
  const model = buildNetwork(TINY_PLAIN, { seed: 4 });
  const norm = normOf(model);
  model.train(training);
  norm.train(!training);
  const optimizer = new SGD(model, { lr: 0.05 });
  const [before, mean] = [flags(model), await norm.runningMean.data()];
  const trainer = new Trainer(model, optimizer, { batchSize: 6 });
  await evaluate(model, test);
  expect((await norm.runningMean.data()).join() === mean.join()).toBe(training);
  for await (const _ of trainer.fit(set, { epochs: 1 }));
  expect(norm.batchesTracked > 0).toBe(!training);
  expect(flags(model)).toEqual(before);
});

it("evaluations at once, or of one that fails, leave statistics, flags and each other's counts as they are", async () => {
  const model = buildNetwork(TINY, { seed: 4 });
  normOf(model).eval();
  const [before, state] = [flags(model), await stateBytes(model)];
  const single = await evaluate(model, test);
  const broken = {
    ...test,
    get labels(): never {
      throw new RangeError("lost");
    },
  };
  const both = await Promise.allSettled([
    evaluate(model, test, { batchSize: 5 }),
    evaluate(model, broken),
    evaluate(model, test),
  ]);
  expect(both.map((r) => r.status === "fulfilled" && r.value)).toEqual([single, false, single]);
  expect(flags(model)).toEqual(before);
  expect(await stateBytes(model)).toEqual(state);
});
