/** Passes that are recomputed: the same numbers, less memory, and what cannot be. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError } from "../../src/errors";
import { BatchNorm } from "../../src/nn/batch-norm";
import { Conv2d } from "../../src/nn/conv";
import { Dropout, Flatten, Identity, type Layer, MaxPool2d, ReLU, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { Module } from "../../src/nn/module";
import { penalise } from "../../src/nn/pass";
import { manualSeed } from "../../src/nn/random";
import { recompute } from "../../src/nn/recompute";
import { add, log, mul, relu, square } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { RandomStream } from "../../src/tensor/ops/random";
import { mean, sum } from "../../src/tensor/ops/reduce";
import { packingSaved } from "../../src/tensor/packing";
import { recordStep } from "../../src/tensor/recorded";
import { keep, memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData } from "../support/gpu";

beforeAll(() => gpu());

class Residual extends Module {
  readonly conv = new Conv2d(8, 8, 3, { padding: 1 });
  readonly norm: BatchNorm;
  readonly drop = new Dropout(0.3);

  constructor(momentum: number | null) {
    super();
    this.norm = new BatchNorm(8, { momentum });
  }

  forward(x: Tensor): Tensor {
    return relu(add(x, this.drop.forward(this.norm.forward(this.conv.forward(x)))));
  }
}

class Net extends Module {
  readonly stem = new Conv2d(3, 8, 3, { padding: 1 });
  readonly first: Layer;
  readonly second: Layer;
  readonly pool = new MaxPool2d(2);
  readonly flatten = new Flatten();
  readonly head = new Linear(8 * 4 * 4, 5);

  constructor(
    readonly saving: boolean,
    momentum: number | null = 0.1,
  ) {
    super();
    this.first = new Residual(momentum);
    this.second = new Sequential(new Residual(momentum), new Residual(momentum));
  }

  forward(x: Tensor): Tensor {
    const run = (block: Layer, y: Tensor) => (this.saving ? recompute(block, y) : block.forward(y));
    const y = run(this.second, run(this.first, this.stem.forward(x)));
    return this.head.forward(this.flatten.forward(this.pool.forward(y)));
  }
}

const IMAGES = randomData([6, 8, 8, 3], 1);
const LABELS = Int32Array.of(0, 1, 2, 3, 4, 0);
const inputs = () => [Tensor.from(IMAGES, [6, 8, 8, 3]), Tensor.from(LABELS, [6])] as const;

/** Loss, gradients and state after two steps' forward and backward passes. */
async function twice(saving: boolean, momentum: number | null) {
  manualSeed(3);
  const net = new Net(saving, momentum);
  const [x, y] = inputs();
  x.requiresGrad = true;
  const losses: number[] = [];
  for (let step = 0; step < 2; step++) {
    const loss = crossEntropy(net.forward(x), y);
    loss.backward();
    losses.push((await loss.data())[0]!);
  }
  const grads = await Promise.all([x, ...net.parameters()].map((p) => p.grad!.data()));
  const state = await net.stateDict();
  net.dispose();
  return { losses, grads, state };
}

describe.each([0.1, null])("recompute, with running statistics of momentum %j", (momentum) => {
  it("has the values and the gradients of an ordinary pass, masks and statistics too", async () => {
    const [plain, saving] = [await twice(false, momentum), await twice(true, momentum)];
    expect(saving.losses).toEqual(plain.losses);
    expect(plain.losses[1]).not.toBe(plain.losses[0]);
    saving.grads.forEach((g, i) => void expect(g).toEqual(plain.grads[i]));
    expect(saving.state).toEqual(plain.state);
  });
});

it("keeps the inputs alone until the backward pass", async () => {
  const held = (saving: boolean): number =>
    scope(() => {
      const net = new Net(saving);
      const [x, y] = inputs();
      const before = memory().bytes;
      const loss = scope(() => crossEntropy(net.forward(x), y));
      const bytes = memory().bytes - before;
      loss.backward();
      net.dispose();
      return bytes;
    });
  const activation = 4 * 6 * 8 * 8 * 8;
  // Each of three blocks keeps several activations otherwise: what its convolution, norm and ReLU
  // need.
  expect(held(false)).toBeGreaterThan(held(true) + 5 * activation);
  expect(held(true)).toBeLessThan(6 * activation);
});

it("runs as it ran, in whatever mode the module is by then", async () => {
  const run = async (saving: boolean) => {
    manualSeed(4);
    const block = new Residual(0.1);
    block.norm.eval();
    const x = Tensor.from(randomData([2, 4, 4, 8], 2), [2, 4, 4, 8]);
    x.requiresGrad = true;
    const loss = sum(square(saving ? recompute(block, x) : block.forward(x)));
    block.norm.train();
    block.drop.eval();
    loss.backward();
    expect([block.training, block.norm.training, block.drop.training]).toEqual([true, true, false]);
    const found = await x.grad!.data();
    block.dispose();
    return found;
  };
  expect(await run(true)).toEqual(await run(false));
});

it("takes several inputs, and a constant among them", async () => {
  class Scaled extends Module {
    forward(x: Tensor, by: number, y: Tensor): Tensor {
      return mul(mul(x, by), y);
    }
  }
  const [x, y] = [Tensor.from([1, 2, 3]), Tensor.from([4, 5, 6])];
  for (const t of [x, y]) t.requiresGrad = true;
  sum(recompute(new Scaled(), x, 3, y)).backward();
  expect([...(await x.grad!.data()), ...(await y.grad!.data())]).toEqual([12, 15, 18, 3, 6, 9]);
});

it("may lie within another, and be the identity", async () => {
  class Outer extends Module {
    readonly inner = new Residual(0.1);
    readonly same = new Identity();
    forward(x: Tensor): Tensor {
      return recompute(this.same, recompute(this.inner, square(x)));
    }
  }
  const run = async (how: (m: Outer, x: Tensor) => Tensor) => {
    manualSeed(5);
    const net = new Outer();
    const x = Tensor.from(randomData([2, 4, 4, 8], 2), [2, 4, 4, 8]);
    x.requiresGrad = true;
    sum(how(net, x)).backward();
    const found = [
      await x.grad!.data(),
      await net.inner.conv.weight.grad!.data(),
      await net.inner.norm.runningMean.data(),
    ];
    net.dispose();
    return found;
  };
  const plain = await run((net, x) => net.inner.forward(square(x)));
  expect(await run((net, x) => recompute(net, x))).toEqual(plain);
  expect(await run((net, x) => net.forward(x))).toEqual(plain);
});

it("goes backward twice where the graph is retained, and is a plain call under noGrad", async () => {
  manualSeed(6);
  const block = new Sequential(new Linear(3, 3), new ReLU());
  const x = Tensor.from([[1, 2, 3]]);
  x.requiresGrad = true;
  const y = sum(recompute(block, x));
  y.backward(undefined, { retainGraph: true });
  const once = await x.grad!.data();
  y.backward();
  expectClose(
    await x.grad!.data(),
    once.map((g) => 2 * g),
  );
  expect(() => y.backward()).toThrow(LifetimeError);
  expect(noGrad(() => recompute(block, x)).requiresGrad).toBe(false);
});

describe("is refused", () => {
  const x = () => Object.assign(Tensor.from([[1, 2, 3]]), { requiresGrad: true });

  it("for what is no module, or gives no tensor", () => {
    class Two extends Module {
      forward(a: Tensor): [Tensor, Tensor] {
        return [a, a];
      }
    }
    expect(() => recompute((() => x()) as never, ...([] as never))).toThrow(ArgumentError);
    expect(() => recompute(new (class extends Module {})() as never, ...([] as never))).toThrow(
      /module\.forward is a function/,
    );
    expect(() => recompute(new Two() as never, ...([x()] as never))).toThrow(/one whose forward gives one tensor/);
  });

  it("for a tensor with a graph that comes by another way", () => {
    const scale = mul(x(), 2);
    class Scaled extends Module {
      forward(a: Tensor): Tensor {
        return mul(a, scale);
      }
    }
    expect(() => recompute(new Scaled(), x())).toThrow(/with a graph reaches the module beside its inputs/);
  });

  it("for parameters and random streams that have changed since", () => {
    const linear = new Linear(3, 3);
    const y = sum(recompute(linear, x()));
    linear.weight.fill(0);
    expect(() => y.backward()).toThrow(/overwritten after the forward pass/);
    const drop = new Dropout(0.5);
    const z = sum(recompute(drop, x()));
    drop.stream.nextStep();
    expect(() => z.backward()).toThrow(/overwritten after the forward pass/);
  });

  it("for whatever else the second pass would take as it is then: frozen weights, constants, statistics", () => {
    const frozen = new Linear(3, 3);
    frozen.freeze();
    const y = sum(recompute(frozen, x()));
    frozen.weight.fill(0);
    expect(() => y.backward()).toThrow(/overwritten after the forward pass/);
    const norm = new BatchNorm(3).eval();
    const z = sum(recompute(norm, x()));
    norm.runningVar.fill(100);
    expect(() => z.backward()).toThrow(/overwritten after the forward pass/);
    const scale = Tensor.full([3], 2);
    class Constant extends Module {
      forward(a: Tensor): Tensor {
        return mul(a, scale);
      }
    }
    const w = sum(recompute(new Constant(), x()));
    scale.fill(3);
    expect(() => w.backward()).toThrow(/overwritten after the forward pass/);
  });

  it("not for running statistics that training has moved", () => {
    const norm = new BatchNorm(3);
    const [one, two] = [Tensor.from(randomData([4, 3], 1), [4, 3]), Tensor.from(randomData([4, 3], 2), [4, 3])];
    const y = sum(square(recompute(norm, one)));
    norm.forward(two);
    expect(() => y.backward()).not.toThrow();
  });

  it("for a module that draws otherwise the second time", () => {
    class Moody extends Module {
      readonly stream = new RandomStream(1);
      calls = 0;
      forward(a: Tensor): Tensor {
        return this.calls++
          ? mul(mul(a, this.stream.uniform([3])), this.stream.uniform([3]))
          : mul(a, this.stream.uniform([3]));
      }
    }
    const y = sum(recompute(new Moody(), x()));
    expect(() => y.backward()).toThrow(/draws other random numbers/);
  });

  it("for a penalty inside", () => {
    class Penalised extends Module {
      forward(a: Tensor): Tensor {
        penalise(mean(a, 1));
        return a;
      }
    }
    expect(() => recompute(new Penalised(), x())).toThrow(/penalises something/);
  });
});

it("keeps exact what is divided by within, where else it may wait rounded", async () => {
  class Logarithm extends Module {
    forward(a: Tensor): Tensor {
      return log(a);
    }
  }
  const values = [1e-9, 2e-9, 0.5, 3];
  const x = Object.assign(Tensor.from(values), { requiresGrad: true });
  const beyond = Tensor.full([1], 0, "u32");
  const loss = packingSaved(
    beyond,
    () => {
      const y = sum(recompute(new Logarithm(), mul(x, 1)));
      let later = Object.assign(Tensor.full([8], 1), { requiresGrad: true });
      for (let i = 0; i < 6; i++) later = relu(later);
      return y;
    },
    { patience: 1, least: 0 },
  );
  loss.backward();
  expectClose(
    await x.grad!.data(),
    values.map((v) => 1 / v),
  );
});

it("is replayed with the step that it is in", async () => {
  const [a, b] = [new Linear(3, 3), new Linear(3, 3)];
  const x = keep(Tensor.from(randomData([2, 3], 1), [2, 3]));
  const grads = async () => [[...(await a.weight.grad!.data())], [...(await b.weight.grad!.data())]];
  const body = () => {
    for (const { weight, bias } of [a, b]) for (const p of [weight, bias]) p?.zeroGrad();
    const y = sum(square(recompute(b, recompute(a, x))));
    y.backward();
    return y;
  };
  const step = recordStep(body);
  for (const seed of [2, 3]) {
    x.write(randomData([2, 3], seed));
    step.replay();
    const replayed = await grads();
    scope(() => void body());
    expect(await grads()).toEqual(replayed);
  }
  step.dispose();
  x.dispose();
});
