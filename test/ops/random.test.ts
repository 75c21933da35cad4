import { beforeAll, describe, expect, it } from "vitest";
import { randomKernel } from "../../shaders/random.wgsl";
import { ArgumentError, ShapeError } from "../../src/errors";
import { dropout, RandomStream } from "../../src/tensor/ops/random";
import { Generator, threefry2x32 } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

beforeAll(async () => {
  await gpu();
});

/** All 32 bits of the elements; `data()` gives numbers of f32. */
const bitsOf = async (t: Tensor) => new Uint32Array(await t.device.read(t.buffer, 4 * t.size));

/**
 * Mean and variance of n draws are within five standard errors of what they should be; `kurtosis`
 * is the fourth central moment over variance². The variance is taken about the mean found, which
 * may itself be five standard errors off.
 */
function expectMoments(x: Float32Array, mean: number, variance: number, kurtosis: number): void {
  const m = x.reduce((s, v) => s + v, 0) / x.length;
  const v = x.reduce((s, a) => s + (a - m) ** 2, 0) / x.length;
  expect(Math.abs(m - mean)).toBeLessThan(5 * Math.sqrt(variance / x.length));
  expect(Math.abs(v - variance)).toBeLessThan(
    5 * variance * Math.sqrt((kurtosis - 1) / x.length) + (25 * variance) / x.length,
  );
}

describe("RandomStream", () => {
  it("draws the words of Threefry, bit for bit", async () => {
    const stream = new RandomStream(2 ** 40 + 17);
    const { key } = stream.state();
    for (const [step, sizes] of [[1], [7, 130], [64, 1, 3]].entries()) {
      const [k0, k1] = Generator.from({ key, counter: 0 }).fork(step).state().key;
      for (const [draw, n] of sizes.entries()) {
        const block = new Uint32Array(2);
        const wanted = Array.from({ length: n }, (_, w) => {
          threefry2x32(k0, k1, w >> 1, draw, block);
          return block[w & 1]!;
        });
        expect([...(await bitsOf(stream.uint32([n])))], `step ${step}, draw ${draw}`).toEqual(wanted);
      }
      stream.nextStep();
    }
  });

  it("draws the uniform numbers of the host's generator exactly", async () => {
    const stream = new RandomStream(new Generator(3).fork("noise"));
    stream.nextStep();
    for (const [low, high] of [
      [0, 1],
      [-1, 1],
      [-2, 0],
      [0, 8],
    ] as const) {
      const host = stream.host();
      const got = await stream.uniform([3, 5, 7], low, high).data();
      expect(got).toEqual(host.fill(new Float32Array(105), "uniform", low, high));
    }
  });

  it("draws the normal numbers of the host's generator", async () => {
    const stream = new RandomStream(4);
    const host = stream.host();
    const got = await stream.normal([1001], 2, 0.5).data();
    // WGSL allows cos an error of 2⁻¹¹ and log one of 2⁻²¹ near 1: to that, times the radius (at
    // most 6.7) and the deviation, the two agree.
    expectClose(got, host.fill(new Float32Array(1001), "normal", 2, 0.5), { atol: 2 ** -11 * 3.4 });
  });

  it("has a finite normal number where the word of its radius is 0", async () => {
    // One key in 2³² begins with such a word.
    const key = [2_478_216_761, 1] as const;
    const block = new Uint32Array(2);
    threefry2x32(...key, 0, 0, block);
    expect(block[0]).toBe(0);
    const [state, y] = [Tensor.from(Uint32Array.of(...key, 0, 0), [4]), Tensor.empty([4])];
    y.device.run(randomKernel, "normal", { state: state.buffer, y: y.buffer }, { n4: 1, draw: 0, a: 0, b: 1 });
    const angle = (Math.PI * new Int32Array(block.buffer)[1]!) / 2 ** 31;
    // The radius is the largest there is, that of 2⁻³².
    const wanted = Math.sqrt(64 * Math.LN2) * Math.cos(angle);
    expectClose([(await y.data())[0]!], [wanted], { rtol: 0, atol: 2 ** -11 * 6.7 });
  });

  it("has the right moments", async () => {
    const stream = new RandomStream(5);
    const n = 40_000;
    expectMoments(await stream.uniform([n], -3, 1).data(), -1, 16 / 12, 1.8);
    expectMoments(await stream.normal([n], -1, 3).data(), -1, 9, 3);
    for (const p of [0.1, 0.5, 0.97]) {
      const kurtosis = 3 + (1 - 6 * p * (1 - p)) / (p * (1 - p));
      expectMoments(await stream.bernoulli([n], p).data(), p, p * (1 - p), kurtosis);
    }
  });

  it("draws bernoulli numbers by the uniform ones, and certainties certainly", async () => {
    const stream = new RandomStream(6);
    const host = stream.host();
    const got = await stream.bernoulli([200], 0.3).data();
    expect([...got]).toEqual(Array.from({ length: 200 }, () => (host.uniform() < 0.3 ? 1 : 0)));
    expect(new Set(await stream.bernoulli([500], 0).data())).toEqual(new Set([0]));
    expect(new Set(await stream.bernoulli([500], 1).data())).toEqual(new Set([1]));
  });

  it("repeats itself for the same seed, and only then", async () => {
    const draw = async (s: RandomStream) => (await s.uniform([16]).data()).join();
    const a = new RandomStream(7);
    const [first, second] = [await draw(a), await draw(a)];
    a.nextStep();
    const third = await draw(a);
    const b = new RandomStream(new Generator(7));
    expect([await draw(b), await draw(b)]).toEqual([first, second]);
    expect(
      new Set([
        first,
        second,
        third,
        await draw(new RandomStream(8)),
        await draw(new RandomStream(new Generator(7).fork("x"))),
      ]).size,
    ).toBe(5);
  });

  it("goes on from a saved state", async () => {
    const stream = new RandomStream(9);
    for (let i = 0; i < 3; i++) stream.nextStep();
    stream.normal([3]).dispose();
    const state = JSON.parse(JSON.stringify(stream.state()));
    const rest = async (s: RandomStream) => {
      const here = await s.uniform([9]).data();
      s.nextStep();
      return [...here, ...(await s.uniform([9]).data())];
    };
    const wanted = await rest(stream);
    expect(await rest(RandomStream.from(state))).toEqual(wanted);
    stream.restore(state);
    expect(await rest(stream)).toEqual(wanted);
  });

  it("keeps its key in data: the same command run again after nextStep draws new numbers", async () => {
    const stream = new RandomStream(10);
    const y = Tensor.empty([8]);
    const command = { state: stream.buffer.buffer, y: y.buffer };
    const seen: string[] = [];
    for (let step = 0; step < 3; step++) {
      y.device.run(randomKernel, "uniform", command, { n4: 2, draw: 0, a: 0, b: 1 });
      const got = await y.data();
      expect(got).toEqual(stream.host().fill(new Float32Array(8), "uniform"));
      seen.push(got.join());
      stream.nextStep();
    }
    expect(new Set(seen).size).toBe(3);
  });

  it("makes empty tensors, and lives beyond the scope it was made in", async () => {
    const stream = scope(() => new RandomStream(11));
    expect(stream.uniform([0, 3]).shape).toEqual([0, 3]);
    expect((await stream.normal([1]).data()).length).toBe(1);
    stream.dispose();
  });

  it("refuses what makes no sense", () => {
    const stream = new RandomStream(12);
    expect(() => new RandomStream(-1)).toThrow(ArgumentError);
    expect(() => stream.uniform([2], 0, Number.NaN)).toThrow(ArgumentError);
    expect(() => stream.normal([2], 0, Infinity)).toThrow(ArgumentError);
    for (const p of [-0.1, 1.1, Number.NaN]) expect(() => stream.bernoulli([2], p)).toThrow(ArgumentError);
    expect(() => stream.restore({ key: [1, 2], step: -1, draw: 0 })).toThrow(ArgumentError);
    expect(() => stream.restore({ key: [1, 2 ** 32], step: 0, draw: 0 })).toThrow(ArgumentError);
    expect(() => stream.restore({ key: [1, 2], step: 0, draw: 2 ** 20 + 1 })).toThrow(ArgumentError);
  });

  it("goes on to the next step where a loop draws without end", async () => {
    const full = RandomStream.from({ key: [1, 2], step: 4, draw: 2 ** 20 });
    const drawn = await full.uniform([3]).data();
    expect(full.state()).toMatchObject({ step: 5, draw: 1 });
    const next = RandomStream.from({ key: [1, 2], step: 5, draw: 0 });
    expect(drawn).toEqual(await next.uniform([3]).data());
  });
});

describe("dropout", () => {
  const plain = (x: ArrayLike<number>, host: Generator, p: number) =>
    Array.from(x, (v) => (host.uniform() >= Math.fround(p) ? v / (1 - p) : 0));

  it("agrees with the plain loop, forward and backward", async () => {
    const stream = new RandomStream(20);
    for (const [shape, p] of [
      [[1], 0.5],
      [[3, 5, 7], 0.25],
      [[2, 33], 0.9],
      [[4, 4], 0],
      [[5, 3], 1],
    ] as const) {
      const data = randomData(shape, 1);
      const x = Tensor.from(data, shape);
      x.requiresGrad = true;
      const [host, again] = [stream.host(), stream.host()];
      const y = dropout(x, p, stream);
      // What the stream does before the backward pass must not change the mask.
      stream.nextStep();
      stream.uniform([4]);
      const g = randomData(shape, 2);
      const values = await y.data();
      y.backward(Tensor.from(g, shape));
      const wanted = (v: Float32Array, h: Generator) => (p === 1 ? new Array(v.length).fill(0) : plain(v, h, p));
      expectClose(values, wanted(data, host), { what: `p ${p}` });
      expectClose(await x.grad!.data(), wanted(g, again), { what: `gradient, p ${p}` });
    }
  });

  it("keeps an element whose number is p itself, as the plain loop does", async () => {
    const stream = new RandomStream(26);
    // p is one of the very numbers that the mask is made of.
    const numbers = stream.host().fill(new Float32Array(12), "uniform");
    const p = numbers[7]!;
    const y = await dropout(Tensor.full([12], 1), p, stream).data();
    expectClose(
      y,
      Array.from(numbers, (u) => (u >= p ? 1 / (1 - p) : 0)),
    );
    expect(y[7]).toBeGreaterThan(0);
  });

  it("keeps the mean and drops the share it should", async () => {
    const y = await dropout(Tensor.full([40_000], 1), 0.2, new RandomStream(21)).data();
    expect([...new Set(y)].sort()).toEqual([0, 1.25]);
    expectMoments(y, 1, 0.25, 3 + (1 - 6 * 0.16) / 0.16);
  });

  it("gives its input when not training, without drawing", async () => {
    const stream = new RandomStream(22);
    const data = randomData([3, 4], 1);
    const x = Tensor.from(data, [3, 4]);
    x.requiresGrad = true;
    const before = stream.state();
    const y = dropout(x, 0.5, stream, false);
    expect(stream.state()).toEqual(before);
    expect(await y.data()).toEqual(data);
    const g = randomData([3, 4], 2);
    y.backward(Tensor.from(g, [3, 4]));
    expect(await x.grad!.data()).toEqual(g);
  });

  it("has finite differences for gradients, draws other masks each time, and passes NaN on", async () => {
    const stream = new RandomStream(23);
    const start = stream.state();
    const fixed = (x: Tensor) => {
      stream.restore(start);
      return dropout(x, 0.4, stream);
    };
    await gradcheck(fixed, [{ shape: [3, 5], data: randomData([3, 5], 1) }], { probes: 6 });
    const ones = Tensor.full([64], 1);
    expect(await dropout(ones, 0.5, stream).data()).not.toEqual(await dropout(ones, 0.5, stream).data());
    expectClose(await dropout(Tensor.full([3], Number.NaN), 1, stream).data(), [Number.NaN, Number.NaN, Number.NaN]);
    expect(dropout(Tensor.empty([0, 2]), 0.5, stream).shape).toEqual([0, 2]);
  });

  it("refuses what makes no sense", () => {
    const stream = new RandomStream(24);
    expect(() => dropout(Tensor.full([2], 1), 1.5, stream)).toThrow(ArgumentError);
    expect(() => dropout(Tensor.full([2], 1), Number.NaN, stream, false)).toThrow(ArgumentError);
    expect(() => dropout(Tensor.full([2], 1, "i32"), 0.5, stream)).toThrow(ShapeError);
  });

  it("leaves nothing behind", () => {
    const stream = new RandomStream(25);
    const before = memory();
    scope(() => {
      const x = Tensor.full([8], 1);
      x.requiresGrad = true;
      dropout(x, 0.5, stream);
      dropout(x, 0.5, stream).backward(Tensor.full([8], 1));
    });
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});
