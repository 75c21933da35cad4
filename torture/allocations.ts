/** `allocations`: every buffer that a training step asks for fails once, in both manners. One LimitError that says which; the next step works, to the bits of a run in which nothing failed. */
import {
  Conv2d,
  crossEntropy,
  type Device,
  Flatten,
  Generator,
  init,
  type Layer,
  LimitError,
  Linear,
  memory,
  ReLU,
  Sequential,
  SGD,
  scope,
  Tensor,
} from "../src/index";
import { dawn } from "../src/node/index";
import { type Allocations, control, type Manner } from "./failing-device";
import { type Cases, demand, type Part, type Task } from "./part";
import { stateOf } from "./tiny";

const MANNERS: readonly Manner[] = ["throws", "reports"];
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

/** Takes what is still to be told of an earlier failure: one case must not be blamed for another. */
async function settle(device: Device): Promise<void> {
  for (let i = 0; i < COLD && (await thrown(() => device.sync())) !== null; i++);
}

/** Lets one allocation of a step fail, and goes on. @returns the state after the next step. */
async function failOnce(device: Device, allocations: Allocations, at: number, manner: Manner): Promise<string> {
  await settle(device);
  const { net, optimizer, step } = training(device);
  try {
    await step(4);
    await cool(device);
    optimizer.zeroGrad();
    const before = memory();
    allocations.failAt(at, manner);
    const error = await thrown(() => step(6));
    allocations.failAt(0, manner);
    demand(error !== null, "a step went well though one of its buffers was never there");
    demand(error instanceof LimitError, `expected a LimitError, found ${told(error)}`);
    demand(
      /\d+ bytes|\d+ (?:Ki|Mi|Gi)?B/.test(error.message),
      `the error does not say how much was asked for: ${told(error)}`,
    );
    const again = await thrown(() => device.sync());
    demand(again === null, `one mistake was told of twice: ${told(again)}`);
    optimizer.zeroGrad();
    const after = memory();
    demand(
      after.storages <= before.storages,
      `${after.storages - before.storages} buffers are still held after the failure`,
    );
    const next = await thrown(() => step(6));
    demand(next === null, `the next step fails too: ${told(next)}`);
    return await stateOf(net);
  } finally {
    allocations.failAt(0, manner);
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
  await cases.each(asked * MANNERS.length, async (_, number) => {
    const [at, manner] = [1 + Math.floor(number / MANNERS.length), MANNERS[number % MANNERS.length]!];
    const state = await failOnce(device, allocations, at, manner).catch((error: Error) => {
      throw Object.assign(error, { message: `allocation ${at} of ${asked} (${manner}): ${error.message}` });
    });
    demand(state === unbroken, `allocation ${at} of ${asked} (${manner}): the next step has other bits`);
  });
  return {
    figure: `${cases.count} failed allocations, each of the ${asked} of a step in ${MANNERS.length} manners: ${cases.kept} ended in one LimitError and a next step with the same bits`,
    facts: { allocations: asked },
  };
}

export default {
  promise: "an allocation that fails in a training step is one LimitError, and the next step has the right bits",
  patience: 120,
  run,
} satisfies Part;
