import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { mul } from "../../src/tensor/ops/elementwise";
import { indexSelect, oneHot } from "../../src/tensor/ops/gather";
import { concat, expand, flip, narrow, pad, permute, split, stack, transpose } from "../../src/tensor/ops/movement";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf, stridesOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { computed, expectClose, gpu, gradcheck, randomData } from "../support/gpu";

/** All index tuples of a shape, in row-major order. */
function* places(shape: Shape): Iterable<number[]> {
  for (let i = 0; i < sizeOf(shape); i++) {
    const strides = stridesOf(shape);
    yield shape.map((n, d) => Math.floor(i / strides[d]!) % n);
  }
}

const flat = (place: readonly number[], shape: Shape) => place.reduce((s, n, d) => s + n * stridesOf(shape)[d]!, 0);

/**
 * Every operation here takes each output element from one input element, or from none: checks y and
 * the gradient against that map, `source`, from an output place to [input number, ...place] or
 * null.
 */
async function check(
  f: (...xs: Tensor[]) => Tensor,
  shapes: Shape[],
  outShape: Shape,
  source: (place: number[]) => number[] | null,
  { seed = 1, otherwise = 0, what = "" } = {},
): Promise<void> {
  const data = shapes.map((s, i) => randomData(s, seed + i));
  const xs = data.map((d, i) => Tensor.from(d, shapes[i]!));
  for (const x of xs) x.requiresGrad = true;
  const y = f(...xs);
  expect(y.shape, what).toEqual(outShape);
  const g = randomData(outShape, seed + 50);
  const seedGrad = Tensor.from(g, outShape);
  const values = await y.data();
  y.backward(seedGrad);
  const wanted: number[] = [];
  const grads = shapes.map((s) => new Array<number>(sizeOf(s)).fill(0));
  [...places(outShape)].map(source).forEach((s, i) => {
    const [k = -1, ...place] = s ?? [];
    if (k < 0) {
      wanted.push(otherwise);
      return;
    }
    const at = flat(place, shapes[k]!);
    wanted.push(data[k]![at]!);
    const grad = grads[k]!;
    grad[at] = grad[at]! + g[i]!;
  });
  expectClose(values, wanted, { what: `y of ${what}`, rtol: 0, atol: 0 });
  for (const [k, x] of xs.entries()) expectClose(await x.grad!.data(), grads[k]!, { what: `gradient ${k} of ${what}` });
  for (const t of [...xs, y, seedGrad]) t.dispose();
}

const r = new Generator(11);
const upTo = (n: number) => r.integer(n + 1);
const randomShape = (rank: number, least = 1, most = 5): number[] =>
  Array.from({ length: rank }, () => least + upTo(most - least));
const replace = (shape: Shape, axis: number, n: number) => shape.map((m, d) => (d === axis ? n : m));

beforeAll(async () => {
  await gpu();
});

describe("permute and transpose", () => {
  it("agree with the plain loop", async () => {
    for (let i = 0; i < 12; i++) {
      const shape = randomShape(1 + upTo(i < 10 ? 4 : 5), i === 3 ? 0 : 1, i > 9 ? 3 : 5);
      const dims = [...r.permutation(shape.length)];
      const named = dims.map((d, k) => (k % 2 ? d - shape.length : d));
      const target = dims.map((d) => shape[d]!);
      const source = (p: number[]) => {
        const place = new Array<number>(p.length);
        dims.forEach((d, k) => {
          place[d] = p[k]!;
        });
        return [0, ...place];
      };
      await check((x) => permute(x, named), [shape], target, source, {
        seed: i,
        what: `permute [${shape}] by [${dims}]`,
      });
    }
    await check(
      (x) => transpose(x, 0, -1),
      [[3, 4, 5]],
      [5, 4, 3],
      ([a, b, c]) => [0, c!, b!, a!],
    );
    await check(
      (x) => transpose(x, 1, 1),
      [[3, 4]],
      [3, 4],
      (p) => [0, ...p],
    );
  });

  it("is a view when the order in memory stays", () => {
    const x = Tensor.full([3, 1, 4, 1], 1);
    const view = permute(x, [1, 0, 3, 2]);
    expect(view.shape).toEqual([1, 3, 1, 4]);
    expect(view.buffer).toBe(x.buffer);
    expect(permute(x, [2, 1, 0, 3]).buffer).not.toBe(x.buffer);
  });

  it("moves integers bit by bit", async () => {
    const x = Tensor.from(Int32Array.of(1, -2, 3, -4, 5, -6), [2, 3]);
    const y = transpose(x, 0, 1);
    expect(y.dtype).toBe("i32");
    expect([...(await y.data())]).toEqual([1, -4, -2, 5, 3, -6]);
  });
});

describe("narrow and split", () => {
  it("agree with the plain loop", async () => {
    for (let i = 0; i < 10; i++) {
      const shape = randomShape(1 + upTo(3));
      const axis = upTo(shape.length - 1);
      const start = upTo(shape[axis]!);
      const length = upTo(shape[axis]! - start);
      const source = (p: number[]) => [0, ...replace(p, axis, p[axis]! + start)];
      const from = start < shape[axis]! && i % 2 ? start - shape[axis]! : start;
      const what = `narrow [${shape}] dimension ${axis} from ${from}, ${length}`;
      await check((x) => narrow(x, axis - shape.length, from, length), [shape], replace(shape, axis, length), source, {
        seed: i,
        what,
      });
    }
  });

  it("cut pieces, empty ones too, that join to the whole", async () => {
    const pieces = split(Tensor.full([2, 6], 1), [1, 0, 5], -1);
    expect(pieces.map((p) => p.shape)).toEqual([
      [2, 1],
      [2, 0],
      [2, 5],
    ]);
    await check(
      (x) => concat(split(x, [2, 0, 3, 1], 1).reverse(), 1),
      [[3, 6]],
      [3, 6],
      ([a, b]) => [0, a!, b! === 0 ? 5 : b! < 4 ? b! + 1 : b! - 4],
    );
  });
});

describe("concat and stack", () => {
  it("agree with the plain loop", async () => {
    for (let i = 0; i < 8; i++) {
      const shape = randomShape(1 + upTo(3), 1, 4);
      const axis = upTo(shape.length - 1);
      const lengths = Array.from({ length: 1 + upTo(3) }, () => upTo(4));
      const total = lengths.reduce((a, b) => a + b, 0);
      const source = (p: number[]) => {
        let [k, at] = [0, p[axis]!];
        while (at >= lengths[k]!) at -= lengths[k++]!;
        return [k, ...replace(p, axis, at)];
      };
      const shapes = lengths.map((n) => replace(shape, axis, n));
      const what = `concat ${JSON.stringify(shapes)} along ${axis}`;
      await check((...xs) => concat(xs, axis - shape.length), shapes, replace(shape, axis, total), source, {
        seed: i,
        what,
      });
    }
    for (const axis of [0, 1, 2, -1, -3]) {
      const d = axis < 0 ? axis + 3 : axis;
      const target = [...[2, 5].slice(0, d), 3, ...[2, 5].slice(d)];
      const source = (p: number[]) => [p[d]!, ...p.filter((_, k) => k !== d)];
      const same = [
        [2, 5],
        [2, 5],
        [2, 5],
      ];
      await check((...xs) => stack(xs, axis), same, target, source, { what: `stack along ${axis}` });
    }
  });

  it("give gradients only where they are asked for", async () => {
    const [a, b] = [Tensor.full([2], 1), Tensor.full([3], 2)];
    b.requiresGrad = true;
    concat([a, b, b], 0).backward(Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [8]));
    expect(a.grad).toBeNull();
    expect([...(await b.grad!.data())]).toEqual([9, 11, 13]);
  });
});

it.each<[string, (x: Tensor) => Tensor, boolean]>([
  ["concat of one", (x) => concat([x], 0), false],
  ["stack of one", (x) => stack([x]), false],
  [
    "pad by nothing",
    (x) =>
      pad(x, [
        [0, 0],
        [0, 0],
      ]),
    false,
  ],
  ["flip of nothing", (x) => flip(x, []), false],
  ["expand to more", (x) => expand(x, [2, 2, 2]), false],
  ["expand to the same", (x) => expand(x, [-1, 2]), true],
  ["narrow to all", (x) => narrow(x, 0, 0, 2), true],
  ["split into one", (x) => split(x, [2], 1)[0]!, true],
])("%s: is a copy, or a view, as it says", async (_, f, shared) => {
  const x = Tensor.from([
    [1, 2],
    [3, 4],
  ]);
  x.requiresGrad = true;
  const y = f(x);
  sum(mul(y, y)).backward();
  const times = y.size / x.size;
  expectClose(
    await x.grad!.data(),
    [2, 4, 6, 8].map((g) => g * times),
  );
  y.fill(9);
  expect([...(await x.data())]).toEqual(shared ? [9, 9, 9, 9] : [1, 2, 3, 4]);
});

describe("pad, flip, expand", () => {
  it("agree with the plain loop", async () => {
    for (let i = 0; i < 10; i++) {
      const shape = randomShape(1 + upTo(3), i === 2 ? 0 : 1, 4);
      const pads = shape.map((): [number, number] => [upTo(2), upTo(2)]);
      const padded = shape.map((n, d) => pads[d]![0] + n + pads[d]![1]);
      const inside = (p: number[]) => {
        const place = p.map((v, d) => v - pads[d]![0]);
        return place.every((v, d) => v >= 0 && v < shape[d]!) ? [0, ...place] : null;
      };
      const what = `pad [${shape}] by ${JSON.stringify(pads)}`;
      await check((x) => pad(x, pads, i / 2), [shape], padded, inside, { seed: i, otherwise: i / 2, what });

      const axes = shape.flatMap((_, d) => (r.integer(2) ? [d - (i % 2 ? shape.length : 0)] : []));
      const turned = new Set(axes.map((a) => (a < 0 ? a + shape.length : a)));
      const mirror = (p: number[]) => [0, ...p.map((v, d) => (turned.has(d) ? shape[d]! - 1 - v : v))];
      await check((x) => flip(x, axes), [shape], shape, mirror, { seed: i, what: `flip [${shape}] along [${axes}]` });

      const narrowed = shape.map((n) => (r.integer(2) ? 1 : n));
      const target = [...randomShape(upTo(2), 1, 3), ...narrowed.map((n) => (n === 1 ? upTo(3) : n))];
      const shift = target.length - narrowed.length;
      const repeat = (p: number[]) => [0, ...narrowed.map((n, d) => (n === 1 ? 0 : p[d + shift]!))];
      const said = target.map((n, d) => (d >= shift && narrowed[d - shift] === n && i % 2 ? -1 : n));
      await check((x) => expand(x, said), [narrowed], target, repeat, {
        seed: i,
        what: `expand [${narrowed}] to [${said}]`,
      });
    }
  });
});

describe("many elements", () => {
  it("are all moved when the workgroups fill more than one row of the grid", async () => {
    const n = 65_535 * 64 + 65;
    const y = flip(
      Tensor.from(
        Uint32Array.from({ length: n }, (_, i) => i),
        [n],
      ),
      [0],
    );
    const values = await y.data();
    expect(values.findIndex((v, i) => v !== n - 1 - i)).toBe(-1);
  });
});

describe("indexSelect and oneHot", () => {
  it("agree with the plain loop", async () => {
    for (let i = 0; i < 10; i++) {
      const shape = randomShape(1 + upTo(3));
      const axis = upTo(shape.length - 1);
      const index = randomShape(upTo(2), i === 4 ? 0 : 1, 6);
      const chosen = Array.from({ length: sizeOf(index) }, () => r.integer(shape[axis]!));
      const indices = Tensor.from(i % 2 ? Int32Array.from(chosen) : Uint32Array.from(chosen), index);
      const target = [...shape.slice(0, axis), ...index, ...shape.slice(axis + 1)];
      const source = (p: number[]) => [
        0,
        ...p.slice(0, axis),
        chosen[flat(p.slice(axis, axis + index.length), index)]!,
        ...p.slice(axis + index.length),
      ];
      const what = `indexSelect [${shape}] dimension ${axis} by [${chosen}]`;
      await check((x) => indexSelect(x, axis - shape.length, indices), [shape], target, source, { seed: i, what });
    }
  });

  it("gives NaN, and no gradient, for a computed index that is not there; one of the host is refused", async () => {
    const x = Tensor.from(Float32Array.of(1, 2, 3, 4), [2, 2]);
    x.requiresGrad = true;
    const known = Tensor.from(Int32Array.of(-1, 1, 2, 2 ** 31 - 1), [4]);
    expect(() => indexSelect(x, 0, known)).toThrow(/indices are whole numbers from 0 to 1, found -1/);
    expect(() => indexSelect(x, 1, [0, 2])).toThrow(ArgumentError);
    expect([...(await indexSelect(x, 1, [1, 0]).data())]).toEqual([2, 1, 4, 3]);
    const y = indexSelect(x, 0, computed(known));
    expectClose(await y.data(), [Number.NaN, Number.NaN, 3, 4, Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    y.backward(Tensor.full([4, 2], 1));
    expectClose(await x.grad!.data(), [0, 0, 1, 1]);
    const whole = indexSelect(
      Tensor.from(Int32Array.of(7, 8), [2]),
      0,
      computed(Tensor.from(Uint32Array.of(5, 1), [2])),
    );
    expect([...(await whole.data())]).toEqual([0, 8]);
  });

  it("uses the indices as they were, and the same order every time", async () => {
    const x = Tensor.from(randomData([3, 5], 1), [3, 5]);
    x.requiresGrad = true;
    const indices = Tensor.from(
      Uint32Array.from({ length: 200 }, (_, i) => (i * i) % 3),
      [200],
    );
    const once = async () => {
      x.zeroGrad();
      scope(() => indexSelect(x, 0, indices).backward(Tensor.from(randomData([200, 5], 2), [200, 5])));
      return x.grad!.data();
    };
    const [first, second] = [await once(), await once()];
    expect(second).toEqual(first);
  });

  it("writes one-hot rows", async () => {
    expect([...(await oneHot(Tensor.from(Int32Array.of(2, 0, 1), [3]), 3).data())]).toEqual([
      0, 0, 1, 1, 0, 0, 0, 1, 0,
    ]);
    expect([...(await oneHot([1, 0], 2).data())]).toEqual([0, 1, 1, 0]);
    const known = Tensor.from(Int32Array.of(-1, 0, 1, 5), [2, 2]);
    for (const labels of [known, [5], [-1], [0.5]]) expect(() => oneHot(labels, 1)).toThrow(ArgumentError);
    const odd = oneHot(computed(known), 1);
    expect(odd.shape).toEqual([2, 2, 1]);
    expectClose(await odd.data(), [Number.NaN, 1, Number.NaN, Number.NaN]);
    expect(oneHot(Tensor.empty([0], "u32"), 4).shape).toEqual([0, 4]);
  });
});

describe("PyTorch", () => {
  it("gives the same numbers", async () => {
    const golden = new Golden("movement");
    const ops: Record<
      string,
      (
        xs: Tensor[], // biome-ignore lint/suspicious/noExplicitAny: each operation has arguments of its own
        a: any[],
      ) => Tensor
    > = {
      permute: ([x], [dims]) => permute(x!, dims!),
      narrow: ([x], [axis, start, length]) => narrow(x!, axis!, start!, length!),
      concat: (xs, [axis]) => concat(xs, axis!),
      stack: (xs, [axis]) => stack(xs, axis!),
      pad: ([x], [pads, value]) => pad(x!, pads!, value!),
      flip: ([x], [axes]) => flip(x!, axes!),
      expand: ([x], [shape]) => expand(x!, shape!),
      indexSelect: ([x], [axis, index]) => indexSelect(x!, axis!, Tensor.from(Int32Array.from(index!), [index.length])),
    };
    for (const [i, c] of golden.meta("cases").entries()) {
      const xs = Array.from({ length: c.inputs }, (_, k) =>
        Tensor.from(golden.data(`${i}.x${k}`), golden.shape(`${i}.x${k}`)),
      );
      for (const x of xs) x.requiresGrad = true;
      const y = ops[c.op]!(xs, c.args);
      expect(y.shape).toEqual(golden.shape(`${i}.y`));
      expectClose(await y.data(), golden.data(`${i}.y`), { what: `${c.op}, case ${i}` });
      y.backward(Tensor.from(golden.data(`${i}.g`), y.shape));
      for (const [k, x] of xs.entries())
        expectClose(await x.grad!.data(), golden.data(`${i}.dx${k}`), { what: `${c.op}, case ${i}, gradient ${k}` });
    }
  });
});

describe("finite differences", () => {
  it("agree with the gradients", async () => {
    const input = (...shape: number[]) => ({ shape, data: randomData(shape, 7) });
    const probes = { probes: 4 };
    await gradcheck((x) => permute(x, [2, 0, 1]), [input(2, 3, 4)], probes);
    await gradcheck(
      (x, y) =>
        flip(
          pad(
            concat([narrow(x, 1, 1, 2), y], 1),
            [
              [0, 1],
              [1, 0],
            ],
            3,
          ),
          [0, 1],
        ),
      [input(2, 3), input(2, 2)],
      probes,
    );
    await gradcheck((x, y) => stack([expand(x, [4, 3]), y], 1), [input(1, 3), input(4, 3)], probes);
    await gradcheck((x) => indexSelect(x, 1, Tensor.from(Int32Array.of(2, 2, 0), [3])), [input(2, 3, 2)], probes);
  });
});

describe("errors", () => {
  it("say what does not fit", () => {
    const x = Tensor.full([2, 3], 1);
    const point = Tensor.full([], 1);
    const wrong: (() => unknown)[] = [
      () => permute(x, [0]),
      () => permute(x, [0, 0]),
      () => permute(x, [0, 2]),
      () => transpose(x, 0, 2),
      () => narrow(x, 1, 2, 2),
      () => narrow(x, 1, -4, 1),
      () => narrow(x, 1, 0, -1),
      () => narrow(x, 2, 0, 1),
      () => narrow(point, 0, 0, 1),
      () => concat([x, Tensor.full([2, 3], 1, "i32")], 0),
      () => concat([x, Tensor.full([3, 3], 1)], 1),
      () => concat([x, Tensor.full([2], 1)], 0),
      () => stack([x, Tensor.full([3, 2], 1)]),
      () => stack([x], 3),
      () => pad(x, [[1, 1]]),
      () =>
        pad(x, [
          [1, 1],
          [-1, 0],
        ]),
      () => flip(x, [0, -2]),
      () => flip(x, [2]),
      () => expand(x, [2, 4]),
      () => expand(x, [3]),
      () => expand(x, [-1, 2, 3]),
      () => split(x, [1, 1], 1),
      () => split(x, [4, -1], 1),
      () => indexSelect(x, 0, Tensor.full([1], 0)),
      () => indexSelect(x, 2, Tensor.full([1], 0, "i32")),
      () => indexSelect(point, 0, Tensor.full([1], 0, "i32")),
      () => oneHot(Tensor.full([1], 0), 3),
    ];
    for (const [i, f] of wrong.entries()) expect(f, `error ${i}`).toThrow(ShapeError);
    expect(() => concat([], 0)).toThrow(ArgumentError);
    expect(() => stack([])).toThrow(ArgumentError);
    expect(() => oneHot(Tensor.full([1], 0, "i32"), 0)).toThrow(ArgumentError);
  });
});

describe("memory", () => {
  it("leaves nothing behind", () => {
    const before = memory();
    scope(() => {
      const x = Tensor.full([2, 3], 1);
      x.requiresGrad = true;
      const y = concat(
        [
          ...split(
            flip(
              pad(x, [
                [1, 1],
                [0, 2],
              ]),
              [1],
            ),
            [2, 3],
            1,
          ),
          transpose(Tensor.full([4, 4], 1), 0, 1),
        ],
        1,
      );
      stack([y, expand(narrow(y, 0, 1, 1), [4, 9])], 2);
      y.backward(Tensor.full([4, 9], 1));
    });
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});
