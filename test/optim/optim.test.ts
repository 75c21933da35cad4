/**
 * Optimisers and clipping, two ways: against a plain JavaScript oracle (double precision) over
 * random parameters, options, learning rates and missing gradients, and against PyTorch. The third
 * way of the operations, finite differences, does not apply: an optimiser is a recurrence, not a
 * differentiable function.
 */
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, ShapeError, StateDictError } from "../../src/errors";
import { Device } from "../../src/gpu/device";
import { dawn } from "../../src/node/dawn";
import {
  Adam,
  type AdamOptions,
  AdamW,
  clipGradNorm,
  clipGradValue,
  type Optimizer,
  type Params,
  SGD,
  type SGDOptions,
} from "../../src/optim";
import { square } from "../../src/tensor/ops/elementwise";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, randomData } from "../support/gpu";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

const made: { dispose(): void }[] = [];
afterEach(() => {
  for (const x of made.splice(0)) x.dispose();
});
const own = <T extends { dispose(): void }>(x: T): T => {
  made.push(x);
  return x;
};

function parameter(data: Float32Array, shape: readonly number[] = [data.length], d = device): Tensor {
  const t = own(Tensor.from(data, shape, d));
  t.requiresGrad = true;
  return t;
}

function setGrad(p: Tensor, g: Float32Array | null): void {
  p.zeroGrad();
  if (g) p.grad = Tensor.from(g, p.shape, p.device);
}

const read = (tensors: readonly Tensor[]): Promise<Float32Array[]> => Promise.all(tensors.map((t) => t.data()));

/** One parameter's update in double precision; `t` and the state are the parameter's own. */
interface Oracle {
  update(w: number[], g: Float32Array, lr: number): void;
}

function sgdOracle({ momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 }: Omit<SGDOptions, "lr">): Oracle {
  let buffer: number[] | null = null;
  return {
    update(w, g, lr) {
      const d = w.map((x, i) => g[i]! + weightDecay * x);
      if (momentum) buffer = buffer ? buffer.map((m, i) => momentum * m + (1 - dampening) * d[i]!) : [...d];
      const along = !buffer ? d : nesterov ? d.map((x, i) => x + momentum * buffer![i]!) : buffer;
      along.forEach((x, i) => {
        w[i]! -= lr * x;
      });
    },
  };
}

function adamOracle(
  { betas: [b1, b2] = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }: AdamOptions,
  decoupled: boolean,
): Oracle {
  const state = new Map<number, { m: number; v: number }>();
  let t = 0;
  return {
    update(w, g, lr) {
      t++;
      w.forEach((x, i) => {
        const s = state.get(i) ?? { m: 0, v: 0 };
        state.set(i, s);
        const d = g[i]! + (decoupled ? 0 : weightDecay * x);
        s.m = b1 * s.m + (1 - b1) * d;
        s.v = b2 * s.v + (1 - b2) * d * d;
        const kept = decoupled ? x * (1 - lr * weightDecay) : x;
        w[i] = kept - ((lr / (1 - b1 ** t)) * s.m) / (Math.sqrt(s.v / (1 - b2 ** t)) + eps);
      });
    },
  };
}

const SIZES = [1, 3, 7, 1000, 0, 64, 65, 4, 257];

/**
 * Trains random parameters in two groups with the optimiser and the oracle, some gradients missing,
 * the learning rate changing.
 */
async function compare(
  seed: number,
  lr: number,
  make: (p: Params) => Optimizer,
  oracleOf: (weightDecay: number | undefined) => Oracle,
): Promise<void> {
  const random = new Generator(seed);
  const sizes = Array.from({ length: 1 + random.integer(8) }, () => SIZES[random.integer(SIZES.length)]!);
  const params = sizes.map((n, i) => parameter(randomData([n], 100 * seed + i)));
  const expected = await read(params).then((data) => data.map((w) => [...w]));
  const cut = random.integer(sizes.length + 1);
  const second = { lrScale: 0.5, weightDecay: 0.07 };
  const optimizer = own(make([{ params: params.slice(0, cut) }, { params: params.slice(cut), ...second }]));
  const oracles = sizes.map((_, i) => oracleOf(i < cut ? undefined : second.weightDecay));
  const frozen = random.integer(3 * sizes.length);
  if (params[frozen]) params[frozen].requiresGrad = false;
  for (let step = 0; step < 5; step++) {
    if (step === 2) optimizer.lr = lr * 0.3;
    params.forEach((p, i) => {
      const g = random.uniform(0, 1) < 0.25 ? null : randomData([sizes[i]!], 1000 * seed + 10 * step + i, 2);
      setGrad(p, g);
      if (g && i !== frozen) oracles[i]!.update(expected[i]!, g, optimizer.lr * (i < cut ? 1 : second.lrScale));
    });
    optimizer.step();
  }
  for (const [i, w] of (await read(params)).entries())
    expectClose(w, expected[i]!, { what: `seed ${seed}, parameter ${i} of ${sizes}` });
}

describe("against the oracle", () => {
  it("SGD, random parameters and options", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Generator(seed);
      const momentum = seed % 4 === 0 ? 0 : random.uniform(0.5, 0.95);
      const nesterov = seed % 4 === 1;
      const o = {
        lr: random.uniform(0.01, 0.2),
        momentum,
        nesterov,
        dampening: seed % 4 === 2 ? 0.4 : 0,
        weightDecay: seed % 3 ? random.uniform(0, 0.1) : 0,
      };
      await compare(
        seed,
        o.lr,
        (p) => new SGD(p, o),
        (wd) => sgdOracle({ ...o, weightDecay: wd ?? o.weightDecay }),
      );
    }
  });

  it("Adam and AdamW, random parameters and options", async () => {
    for (let seed = 21; seed <= 32; seed++) {
      const random = new Generator(seed);
      const decoupled = seed % 2 === 1;
      const betas = [
        seed % 5 === 0 ? 0 : random.uniform(0.5, 0.95),
        seed % 3 ? 0.999 : random.uniform(0.9, 0.99),
      ] as const;
      const o = { lr: random.uniform(1e-3, 0.05), betas, eps: 1e-6, weightDecay: random.uniform(0, 0.1) };
      const make = (p: Params) => (decoupled ? new AdamW(p, o) : new Adam(p, o));
      await compare(seed, o.lr, make, (wd) => adamOracle({ ...o, weightDecay: wd ?? o.weightDecay }, decoupled));
    }
  });

  it("corrects Adam's bias late as exactly as early", async () => {
    const w = parameter(new Float32Array(4));
    const optimizer = own(new Adam([w], { lr: 1e-3 }));
    for (const t of [1, 9, 99, 499, 699, 2999, 99_999]) {
      w.write(new Float32Array(4));
      // Moments as constant gradients of 0.5 leave them: the corrected step is then −lr, whatever
      // t.
      const [m, v] = [0.5 * (1 - 0.9 ** t), 0.25 * (1 - 0.999 ** t)].map((x) => new Float32Array(4).fill(x));
      optimizer.loadStateDict({ "exp_avg.0": m!, "exp_avg_sq.0": v!, step: Float32Array.of(t) });
      setGrad(w, new Float32Array(4).fill(0.5));
      optimizer.step();
      expectClose(await w.data(), new Float32Array(4).fill(-1e-3), { rtol: 1e-6, atol: 0, what: `t = ${t}` });
    }
  });

  it("clips by norm and by value, buffers' padding apart", async () => {
    for (let seed = 41; seed <= 52; seed++) {
      const random = new Generator(seed);
      const sizes = Array.from({ length: 1 + random.integer(30) }, () => SIZES[random.integer(SIZES.length)]!);
      const grads = sizes.map((n, i) => (random.integer(5) === 0 ? null : randomData([n], seed * 100 + i, 3)));
      // A buffer that held huge numbers beyond the elements of its next taker.
      for (let k = 0; k < 6; k++) Tensor.from(new Float32Array(64).fill(1e30), [64]).dispose();
      await device.sync();
      const params = sizes.map((n) => parameter(new Float32Array(n)));
      params.forEach((p, i) => {
        setGrad(p, grads[i]!);
      });
      const limit = random.uniform(0.1, 2) * (seed % 3 === 0 ? 1000 : 1);
      const norm = own(clipGradNorm(params, limit));
      const expected = Math.sqrt(grads.reduce((s, g) => s + (g?.reduce((q, x) => q + x * x, 0) ?? 0), 0));
      expect(norm.shape).toEqual([]);
      expectClose([await norm.item()], [expected], { rtol: 2e-6, atol: 0, what: `norm, seed ${seed}` });
      const scale = Math.min(1, limit / (expected + 1e-6));
      const clipped = grads.map((g) => g?.map((x) => x * scale));
      for (const [i, p] of params.entries())
        if (p.grad) expectClose(await p.grad.data(), clipped[i]!, { what: `scaled ${i}, seed ${seed}` });
      const bound = 0.3 * scale;
      clipGradValue(params, bound);
      for (const [i, p] of params.entries()) {
        if (p.grad)
          expectClose(
            await p.grad.data(),
            clipped[i]!.map((x) => Math.min(bound, Math.max(-bound, x))),
            { what: `clamped ${i}, seed ${seed}` },
          );
      }
    }
  });

  it("measures large gradients, whose every lane sums many vectors", async () => {
    const data = randomData([70_001], 5);
    const p = parameter(new Float32Array(data.length));
    setGrad(p, data);
    const norm = own(clipGradNorm([p], Number.POSITIVE_INFINITY));
    expectClose([await norm.item()], [Math.sqrt(data.reduce((s, x) => s + x * x, 0))], { rtol: 1e-6, atol: 0 });
    expect(await p.grad!.data()).toEqual(data);
  });
});

describe("against PyTorch", () => {
  const golden = new Golden("optim");
  const steps: number = golden.meta("steps");
  const count = 5;
  const starts = () =>
    Array.from({ length: count }, (_, i) => parameter(golden.data(`start.${i}`), golden.shape(`start.${i}`)));
  const tight = { rtol: 1e-6, atol: 1e-6 };

  interface Config {
    name: string;
    type: "SGD" | "Adam" | "AdamW";
    lr?: number;
    momentum?: number;
    dampening?: number;
    nesterov?: boolean;
    betas?: [number, number];
    eps?: number;
    weight_decay?: number;
    skip?: boolean;
    cut?: boolean;
  }

  for (const config of golden.meta("configs") as Config[]) {
    it(`${config.name}: ${steps} steps`, async () => {
      const { name, type, skip, cut, weight_decay: weightDecay, ...rest } = config;
      const options = { ...rest, ...(weightDecay === undefined ? {} : { weightDecay }) };
      const params = starts();
      const optimizer = own(
        type === "SGD" ? new SGD(params, options as SGDOptions) : new { Adam, AdamW }[type](params, options),
      );
      for (let t = 0; t < steps; t++) {
        if (cut && t === golden.meta("cut")) optimizer.lr *= 0.1;
        params.forEach((p, i) => {
          setGrad(p, skip && (t < i || (t === 6 && i % 2 === 1)) ? null : golden.data(`grad.${t}.${i}`));
        });
        optimizer.step();
        if (t > 0) continue;
        for (const [i, w] of (await read(params)).entries())
          expectClose(w, golden.data(`${name}.first.${i}`), { ...tight, what: `first step, ${i}` });
      }
      for (const [i, w] of (await read(params)).entries())
        expectClose(w, golden.data(`${name}.${i}`), { ...tight, what: `${i}` });
    });
  }

  it("clip_grad_norm_ and clip_grad_value_", async () => {
    const params = starts();
    const fill = () =>
      params.forEach((p, i) => {
        setGrad(p, golden.data(`grad.0.${i}`));
      });
    for (const limit of golden.meta("limits") as string[]) {
      fill();
      const norm = own(clipGradNorm(params, Number(limit)));
      expectClose(await norm.data(), golden.data(`norm.${limit}`), { ...tight, what: `norm ${limit}` });
      for (const [i, p] of params.entries())
        expectClose(await p.grad!.data(), golden.data(`clipped.${limit}.${i}`), { ...tight, what: `${limit}: ${i}` });
    }
    fill();
    clipGradValue(params, 0.4);
    for (const [i, p] of params.entries())
      expectClose(await p.grad!.data(), golden.data(`clamped.${i}`), { ...tight, what: `value: ${i}` });
  });
});

describe("a steady step", () => {
  const makers: [string, (p: Tensor[]) => Optimizer][] = [
    ["SGD", (p) => new SGD(p, { lr: 0.01, momentum: 0.9, weightDecay: 1e-3 })],
    ["Adam", (p) => new Adam(p, { lr: 0.01 })],
  ];
  for (const [name, make] of makers) {
    it(`of ${name} creates nothing and submits nothing of its own, whatever the learning rate does`, async () => {
      const params = [7, 130, 1, 64, 9, 3, 5].map((n, i) => parameter(randomData([n], i)));
      const optimizer = own(make(params));
      const step = (lr: number) => {
        optimizer.lr = lr;
        scope(() => {
          for (const p of params) square(p).backward(Tensor.full(p.shape, 1));
          clipGradNorm(params, 1);
          optimizer.step();
          optimizer.zeroGrad();
        });
        device.flush();
      };
      for (const lr of [0.1, 0.2]) step(lr);
      await device.sync();
      const before = { ...device.counters };
      const held = memory();
      for (const lr of [0.3, 0.3, 0.4]) step(lr);
      expect(device.counters.submits - before.submits).toBe(3);
      expect(memory()).toEqual(held);
      expect(device.counters.pipelines).toBe(before.pipelines);
      expect(device.counters.bytesRead).toBe(before.bytesRead);
      await device.sync();
    });
  }

  it("of unchanged learning rate uploads nothing; a changed one reaches every step recorded into one submit", async () => {
    const w = parameter(Float32Array.of(0));
    const optimizer = own(new SGD([w], { lr: 1 }));
    setGrad(w, Float32Array.of(-1));
    optimizer.step();
    const { bytesUploaded } = device.counters;
    optimizer.step();
    optimizer.lr = 1;
    optimizer.step();
    expect(device.counters.bytesUploaded).toBe(bytesUploaded);
    optimizer.lr = 10;
    optimizer.step();
    expect(await w.data()).toEqual(Float32Array.of(13));
  });

  it("updates several parameters a dispatch", () => {
    const params = Array.from({ length: 10 }, (_, i) => parameter(randomData([5], i)));
    for (const p of params) setGrad(p, randomData([5], 1));
    const optimizer = own(new SGD(params, { lr: 0.1, momentum: 0.9 }));
    const { dispatches } = device.counters;
    optimizer.step();
    expect(device.counters.dispatches - dispatches).toBe(
      Math.ceil(10 / Math.min(5, Math.floor((device.caps.maxStorageBuffers - 2) / 2))),
    );
  });
});

it("works on a device of WebGPU's default limits, which binds 8 buffers and may have no immediates", async () => {
  const adapter = (await (await dawn()).requestAdapter())!;
  const small = new Device(await adapter.requestDevice(), adapter.info, { immediates: false });
  expect(small.caps.maxStorageBuffers).toBeLessThan(16);
  const start = Array.from({ length: 9 }, (_, i) => randomData([11 + i], i));
  const grads = start.map((w, i) => randomData([w.length], 50 + i));
  const run = async (d: Device): Promise<Float32Array[]> => {
    const params = start.map((w) => parameter(w, [w.length], d));
    const optimizer = own(new Adam(params, { lr: 0.01, weightDecay: 0.1 }));
    for (let t = 0; t < 3; t++) {
      params.forEach((p, i) => {
        setGrad(p, grads[i]!);
      });
      own(clipGradNorm(params, 1.5));
      optimizer.step();
    }
    return read(params);
  };
  const [here, there] = [await run(device), await run(small)];
  for (const [i, w] of there.entries()) expectClose(w, here[i]!, { rtol: 1e-6, atol: 1e-6, what: `${i}` });
  for (const x of made.splice(0)) x.dispose();
  small.destroy();
});

describe("the state", () => {
  const makers: [string, (p: Tensor[]) => Optimizer][] = [
    ["SGD", (p) => new SGD(p, { lr: 0.1, weightDecay: 0.1 })],
    ["SGD with momentum", (p) => new SGD(p, { lr: 0.1, momentum: 0.9, nesterov: true })],
    ["SGD with dampening", (p) => new SGD(p, { lr: 0.1, momentum: 0.9, dampening: 0.5 })],
    ["Adam", (p) => new Adam(p)],
    ["AdamW", (p) => new AdamW(p)],
  ];
  const sizes = [7, 0, 130, 1, 64, 9, 3];
  const step = (optimizer: Optimizer, params: Tensor[], t: number) => {
    params.forEach((p, i) => {
      setGrad(p, i === 2 && t === 0 ? null : randomData([p.size], 10 * t + i));
    });
    optimizer.step();
  };

  for (const [name, make] of makers) {
    it(`of ${name} continues bit for bit`, async () => {
      const params = sizes.map((n, i) => parameter(randomData([n], i)));
      const first = own(make(params));
      for (let t = 0; t < 3; t++) step(first, params, t);
      const [state, weights] = await Promise.all([first.stateDict(), read(params)]);
      for (let t = 3; t < 6; t++) step(first, params, t);
      const resumed = weights.map((w) => parameter(w));
      const second = own(make(resumed));
      second.loadStateDict(state);
      expect(await second.stateDict()).toEqual(state);
      for (let t = 3; t < 6; t++) step(second, resumed, t);
      expect(await read(resumed)).toEqual(await read(params));
    });
  }

  it("has PyTorch's names, an array a parameter, and the steps each took", async () => {
    const params = sizes.map((n, i) => parameter(randomData([n], i)));
    const adam = own(new Adam(params));
    for (let t = 0; t < 2; t++) step(adam, params, t);
    const state = await adam.stateDict();
    expect(Object.keys(state).sort()).toEqual(
      ["step", ...sizes.flatMap((_, i) => [`exp_avg.${i}`, `exp_avg_sq.${i}`])].sort(),
    );
    expect(state["step"]).toEqual(Float32Array.of(2, 2, 1, 2, 2, 2, 2));
    sizes.forEach((n, i) => {
      expect(state[`exp_avg.${i}`]!.length).toBe(n);
    });
  });

  it("of another optimiser or other parameters is refused, and nothing is changed", async () => {
    const params = [parameter(randomData([3], 1)), parameter(randomData([4], 2))];
    const sgd = own(new SGD(params, { lr: 0.1, momentum: 0.9 }));
    step(sgd, params, 1);
    const before = await sgd.stateDict();
    const adam = await own(new Adam(params)).stateDict();
    expect(() => sgd.loadStateDict(adam)).toThrow(StateDictError);
    expect(() => sgd.loadStateDict({})).toThrow(/momentum_buffer\.0, momentum_buffer\.1 are missing/);
    expect(() => sgd.loadStateDict({ ...before, "momentum_buffer.2": new Float32Array(1) })).toThrow(
      /momentum_buffer\.2 unknown/,
    );
    expect(() =>
      sgd.loadStateDict({ "momentum_buffer.0": new Float32Array(3), "momentum_buffer.1": new Float32Array(3) }),
    ).toThrow(StateDictError);
    expect(() => own(new SGD(params, { lr: 0.1 })).loadStateDict(before)).toThrow(StateDictError);
    expect(await sgd.stateDict()).toEqual(before);
  });

  it("is freed with the optimiser", async () => {
    const p = parameter(randomData([300], 1));
    await device.sync();
    const before = memory();
    const adam = new Adam([p]);
    expect(memory().storages).toBe(before.storages + 2);
    adam.dispose();
    expect(memory().storages).toBe(before.storages);
    expect(memory().tensors).toBe(before.tensors);
    setGrad(p, randomData([300], 2));
    expect(() => adam.step()).toThrow(LifetimeError);
  });

  it("made inside a scope outlives it", async () => {
    const p = parameter(Float32Array.of(1));
    const sgd = own(scope(() => new SGD([p], { lr: 1, momentum: 0.5 })));
    setGrad(p, Float32Array.of(1));
    sgd.step();
    expect(await p.data()).toEqual(Float32Array.of(0));
  });
});

describe("what cannot be trained is refused", () => {
  const p = () => parameter(randomData([3], 1));

  it("parameters", () => {
    const one = p();
    expect(() => new SGD([], { lr: 0.1 })).toThrow(ArgumentError);
    expect(() => new SGD([{ params: [] }], { lr: 0.1 })).toThrow(/found none/);
    expect(() => new SGD([one, one], { lr: 0.1 })).toThrow(/each parameter once/);
    expect(() => new SGD([one, own(one.view([3, 1]))], { lr: 0.1 })).toThrow(ArgumentError);
    expect(() => new SGD([one, { params: [p()] }] as unknown as Params, { lr: 0.1 })).toThrow(/found both/);
    expect(() => new SGD([own(square(one))], { lr: 0.1 })).toThrow(/computed from other tensors/);
    expect(() => new SGD([own(Tensor.from(Int32Array.of(1), [1]))], { lr: 0.1 })).toThrow(ShapeError);
    const gone = p();
    gone.dispose();
    expect(() => new SGD([gone], { lr: 0.1 })).toThrow(LifetimeError);
  });

  it("options", () => {
    const one = p();
    expect(() => new SGD([one], { lr: -0.1 })).toThrow(ArgumentError);
    expect(() => new SGD([one], {} as SGDOptions)).toThrow(/found undefined/);
    expect(own(new SGD([one])).lr).toBe(1e-3);
    expect(() => new SGD([one], { lr: 0.1, momentum: -1 })).toThrow(ArgumentError);
    expect(() => new SGD([one], { lr: 0.1, dampening: Number.NaN })).toThrow(ArgumentError);
    expect(() => new SGD([one], { lr: 0.1, weightDecay: -1 })).toThrow(ArgumentError);
    expect(() => new SGD([one], { lr: 0.1, nesterov: true })).toThrow(/nesterov needs a momentum/);
    expect(() => new SGD([one], { lr: 0.1, nesterov: true, momentum: 0.9, dampening: 0.1 })).toThrow(ArgumentError);
    expect(() => new SGD([{ params: [one], lrScale: -1 }], { lr: 0.1 })).toThrow(/lrScale/);
    expect(() => new Adam([one], { betas: [1, 0.9] })).toThrow(/betas\[0\]/);
    expect(() => new AdamW([one], { betas: [0.9, Number.NaN] })).toThrow(/betas\[1\]/);
    expect(() => new Adam([one], { eps: -1 })).toThrow(ArgumentError);
    const sgd = own(new SGD([one], { lr: 0.1 }));
    expect(() => {
      sgd.lr = Number.NaN;
    }).toThrow(ArgumentError);
    expect(sgd.lr).toBe(0.1);
    expect(() => clipGradNorm([one], -1)).toThrow(ArgumentError);
    expect(() => clipGradNorm([one], 1, { eps: Number.NaN })).toThrow(ArgumentError);
    expect(() => clipGradValue([one], Number.POSITIVE_INFINITY)).toThrow(ArgumentError);
  });

  it("a gradient of another size, before anything is changed", async () => {
    const params = [p(), p()];
    const adam = own(new Adam(params));
    setGrad(params[0]!, randomData([3], 5));
    params[1]!.grad = Tensor.from(randomData([4], 1), [4]);
    expect(() => adam.step()).toThrow(/parameter 1 has shape \[3\], its gradient is f32 \[4\]/);
    expect(await params[0]!.data()).toEqual(randomData([3], 1));
    expect((await adam.stateDict())["step"]).toEqual(Float32Array.of(0, 0));
  });

  it("a gradient that is gone, before anything is changed", async () => {
    const [a, b] = [own(Tensor.from([1, 2])), own(Tensor.from([3, 4]))];
    for (const p of [a, b]) p.requiresGrad = true;
    const optimizer = own(new Adam([a, b], { lr: 0.1 }));
    for (const p of [a, b]) square(p).backward(Tensor.full([2], 1));
    b.grad!.dispose();
    const before = await optimizer.stateDict();
    expect(() => optimizer.step()).toThrow(LifetimeError);
    expect(() => optimizer.step()).toThrow(/the gradient of parameter 1 was disposed/);
    expect(await optimizer.stateDict()).toEqual(before);
    expect(await a.data()).toEqual(Float32Array.of(1, 2));
    b.grad = null;
  });

  it("no gradients at all are no mistake: nothing moves, the norm is 0", async () => {
    const params = [p(), parameter(new Float32Array(0))];
    setGrad(params[1]!, new Float32Array(0));
    own(new Adam(params)).step();
    expect(await params[0]!.data()).toEqual(randomData([3], 1));
    expect(await own(clipGradNorm(params, 1)).item()).toBe(0);
    clipGradValue(params, 1);
  });
});
