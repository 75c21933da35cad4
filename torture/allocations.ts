/**
 * `allocations`: every buffer that a training step asks for fails, once or from then on, in both
 * manners. Either the package makes good for it (by freeing what waits) and the step has the bits
 * of one in which nothing failed; or one LimitError says how much was asked for, and the next step
 * has them.
 */
import { type Device, Generator, init, LimitError, memory, scope, Tensor } from "@pan/core";
import { Conv2d, crossEntropy, Flatten, type Layer, Linear, ReLU, Sequential } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { type Allocations, control, type Manner } from "./failing-device";
import { type Cases, demand, type Part, type Task } from "./part";
import { stateOf } from "./tiny";

const MANNERS: readonly (readonly [Manner, lasting: boolean])[] = [
  ["throws", false],
  ["reports", false],
  ["throws", true],
  ["reports", true],
];
/** Submits after which released buffers are nobody's any more. */
const COLD = 8;

interface Training {
  net: Layer;
  optimizer: SGD;
  /** One step of so many samples, waited for. @returns its loss */
  step(samples: number): Promise<number>;
}

/** A network without running statistics: a step that fails leaves nothing behind. */
function training(device: Device): Training {
  const random = new Generator(1);
  const net = new Sequential(
    new Conv2d(3, 8, 3, { padding: 1, random }),
    new ReLU(),
    new Conv2d(8, 16, 3, { stride: 2, random }),
    new ReLU(),
    new Flatten(),
    new Linear(16 * 3 * 3, 3, { random }),
  );
  const optimizer = new SGD(net.parameters(), { lr: 0.05, momentum: 0.9 });
  const step = async (samples: number) => {
    const images = new Generator(2).fill(new Float32Array(samples * 8 * 8 * 3), "uniform", -1, 1);
    const labels = Int32Array.from({ length: samples }, (_, i) => i % 3);
    const loss = scope(() => {
      optimizer.zeroGrad();
      const x = Tensor.from(images, [samples, 8, 8, 3]);
      const l = crossEntropy(net.forward(x), Tensor.from(labels, [samples]));
      l.backward();
      optimizer.step();
      return l;
    });
    try {
      const [value] = await loss.data();
      await device.sync();
      return value!;
    } finally {
      loss.dispose();
    }
  };
  return { net, optimizer, step };
}

/** Ends the life of every released buffer, so that the next step asks for all of its own. */
async function cool(device: Device): Promise<void> {
  for (let i = 0; i < COLD; i++) {
    const t = Tensor.full([1], i);
    await t.data();
    t.dispose();
  }
  await device.sync();
}

/** What a failing call of the package threw. */
async function thrown(body: () => Promise<unknown>): Promise<unknown> {
  try {
    await body();
    return null;
  } catch (error) {
    return error;
  }
}

const told = (error: unknown): string =>
  `${(error as Error)?.constructor?.name}: ${String((error as Error)?.message).slice(0, 200)}`;

/**
 * Takes what is still to be told of an earlier failure: one case must not be blamed for another.
 */
async function settle(device: Device): Promise<void> {
  for (let i = 0; i < COLD && (await thrown(() => device.sync())) !== null; i++);
}

/**
 * Lets an allocation of a step fail, and goes on.
 * @returns the state after the step that went well, and whether it was the failing one.
 */
async function fail(device: Device, allocations: Allocations, at: number, [manner, lasting]: (typeof MANNERS)[number]) {
  await settle(device);
  const { net, optimizer, step } = training(device);
  try {
    await step(4);
    await cool(device);
    optimizer.zeroGrad();
    const before = memory();
    allocations.failAt(at, manner, lasting);
    const error = await thrown(() => step(6));
    allocations.failAt(0);
    if (error === null) {
      demand(!lasting, "a step went well though its buffers were never there");
      return { state: await stateOf(net), recovered: true };
    }
    demand(error instanceof LimitError, `expected a LimitError, found ${told(error)}`);
    demand(
      /\d+ bytes|\d+ (?:Ki|Mi|Gi)?B/.test(error.message),
      `the error does not say how much was asked for: ${told(error)}`,
    );
    const again = await thrown(() => device.sync());
    demand(again === null, `one mistake was told of twice: ${told(again)}`);
    optimizer.zeroGrad();
    const held = memory().storages - before.storages;
    demand(held <= 0, `${held} buffers are still held after the failure`);
    const next = await thrown(() => step(6));
    demand(next === null, `the next step fails too: ${told(next)}`);
    return { state: await stateOf(net), recovered: false };
  } finally {
    allocations.failAt(0);
    optimizer.dispose();
    net.dispose();
  }
}

async function run(_task: Task, cases: Cases) {
  const adapter = (await (await dawn()).requestAdapter())!;
  const gpu = await adapter.requestDevice();
  const allocations = control(gpu);
  const device = await init({ device: gpu, adapter, poolBytes: 0 });
  const { net, optimizer, step } = training(device);
  await step(4);
  await cool(device);
  optimizer.zeroGrad();
  const before = allocations.count;
  await step(6);
  const asked = allocations.count - before;
  const unbroken = await stateOf(net);
  demand(asked > 0, "the step asked for no buffer: nothing can be tried");
  let recovered = 0;
  await cases.each(asked * MANNERS.length, async (_, number) => {
    const [at, how] = [1 + Math.floor(number / MANNERS.length), MANNERS[number % MANNERS.length]!];
    const where = `allocation ${at} of ${asked} (${how[0]}${how[1] ? ", and all after it" : ""})`;
    const ended = await fail(device, allocations, at, how).catch((error: Error) => {
      throw Object.assign(error, { message: `${where}: ${error.message}` });
    });
    demand(ended.state === unbroken, `${where}: the step that went well has other bits`);
    if (ended.recovered) recovered++;
  });
  return {
    figure: `${cases.count} failures, each of the ${asked} allocations of a step in ${MANNERS.length} manners: ${recovered} made good for, ${cases.kept - recovered} ended in one LimitError and a next step with the same bits, ${cases.broken.length} broken promises`,
    facts: { allocations: asked, recovered },
  };
}

export default {
  promise:
    "an allocation that fails in a training step is made good for or is one LimitError, and the next step has the right bits",
  patience: 120,
  run,
} satisfies Part;
