import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, ShapeError } from "../../src/errors";
import { clipGradNorm } from "../../src/optim/clip";
import { add, affine, exp, flatten, mul, relu, reshape, square, tanh } from "../../src/tensor/ops/elementwise";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { sum } from "../../src/tensor/ops/reduce";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

beforeAll(gpu);

function leaf(data: number[] | Float32Array, shape = [data.length]): Tensor {
  const t = Tensor.from(Float32Array.from(data), shape);
  t.requiresGrad = true;
  return t;
}

const gradOf = async (t: Tensor) => Array.from(await t.grad!.data());

describe("backward", () => {
  it("adds the gradients of two backward passes", async () => {
    const x = leaf([1, 2, 3]);
    sum(mul(x, 2)).backward();
    expect(await gradOf(x)).toEqual([2, 2, 2]);
    sum(square(x)).backward();
    expect(await gradOf(x)).toEqual([4, 6, 8]);
    x.zeroGrad();
    expect(x.grad).toBeNull();
    sum(x).backward();
    expect(await gradOf(x)).toEqual([1, 1, 1]);
  });

  it("sums over every use of a value", async () => {
    const x = leaf([1, 2, 3]);
    sum(add(x, x)).backward();
    expect(await gradOf(x)).toEqual([2, 2, 2]);
    x.zeroGrad();
    sum(mul(x, x)).backward();
    expect(await gradOf(x)).toEqual([2, 4, 6]);
    x.zeroGrad();
    const twice = mul(x, 2);
    // A diamond of unequal arms: the shared node runs once, after both arms have come in.
    sum(mul(square(twice), add(affine(twice, 3), twice))).backward();
    expectClose(await gradOf(x), [96, 384, 864]);
  });

  it("goes through a ladder of shared nodes once a node, not once a path", async () => {
    const x = leaf([1, -1]);
    let h = x as Tensor;
    for (let i = 0; i < 24; i++) h = affine(add(h, h), 0.5);
    h.backward(Tensor.from(Float32Array.of(3, 5), [2]));
    expect(await gradOf(x)).toEqual([3, 5]);
  });

  it("takes a leaf as root", async () => {
    const x = leaf([7], []);
    x.backward();
    x.backward();
    expect(await gradOf(x)).toEqual([2]);
    const y = leaf([1, 2]);
    const seed = Tensor.from(Float32Array.of(3, 4), [2]);
    y.backward(seed);
    seed.fill(9);
    expect(await gradOf(y)).toEqual([3, 4]);
  });

  it("starts from the seed given and leaves it as it is", async () => {
    const x = leaf([1, 2, 3, 4], [2, 2]);
    const seed = Tensor.from(Float32Array.of(1, 10, 100, 1000), [2, 2]);
    square(x).backward(seed);
    expect(await gradOf(x)).toEqual([2, 40, 600, 8000]);
    expect(Array.from(await seed.data())).toEqual([1, 10, 100, 1000]);
  });

  it("defaults the seed to 1 for any shape of one element", async () => {
    const x = leaf([3], [1, 1, 1]);
    square(x).backward();
    expect(await gradOf(x)).toEqual([6]);
    expect(x.grad!.shape).toEqual([1, 1, 1]);
  });

  it("refuses what has no meaning", () => {
    const x = leaf([1, 2]);
    const y = mul(x, 2);
    expect(() => y.backward()).toThrow(ShapeError);
    expect(() => y.backward(Tensor.full([3], 1))).toThrow(ShapeError);
    expect(() => y.backward(Tensor.full([2], 1, "i32"))).toThrow(ShapeError);
    expect(() => Tensor.full([], 1).backward()).toThrow(LifetimeError);
    expect(x.grad).toBeNull();
    y.backward(Tensor.full([2], 1));
  });

  it("refuses a second pass through a freed graph, a part of it included", async () => {
    const x = leaf([1, 2]);
    const trunk = exp(x);
    const [a, b] = [sum(trunk), sum(square(trunk))];
    a.backward();
    const once = await gradOf(x);
    expect(() => a.backward()).toThrow(LifetimeError);
    expect(() => b.backward()).toThrow(/exp a second time/);
    expect(await gradOf(x)).toEqual(once);
  });

  it("refuses a leaf that is gone, and needs no intermediate handle", async () => {
    const x = leaf([1, 2]);
    const hidden = tanh(x);
    const loss = sum(square(hidden));
    hidden.dispose();
    loss.backward();
    expectClose(
      await gradOf(x),
      [1, 2].map((v) => 2 * Math.tanh(v) * (1 - Math.tanh(v) ** 2)),
    );
    const gone = leaf([1, 2]);
    const orphan = sum(square(gone));
    gone.dispose();
    expect(() => orphan.backward()).toThrow(LifetimeError);
  });
});

describe("a leaf that is gone", () => {
  it.each([0, 1])("is refused before any gradient arrives (%i)", (gone) => {
    const leaves = [leaf([1, 2]), leaf([3, 4])];
    const loss = sum(add(mul(leaves[0]!, 2), mul(leaves[1]!, 3)));
    leaves[gone]!.dispose();
    expect(() => loss.backward()).toThrow(/a leaf of shape \[2\] was disposed/);
    expect(leaves[1 - gone]!.grad).toBeNull();
  });
});

describe("what is recorded", () => {
  it("stays so: a result is not frozen, which would cut off what led to it", async () => {
    const x = leaf([1, 2]);
    const y = mul(x, x);
    const freeze = () => {
      y.requiresGrad = false;
    };
    expect(freeze).toThrow(ArgumentError);
    expect(freeze).toThrow(/a result of mul, \[2\].*detach\(\).*noGrad\(\)/);
    expect(y.detach().requiresGrad).toBe(false);
    y.requiresGrad = true;
    sum(mul(y, 3)).backward();
    expectClose(await gradOf(x), [6, 12]);
  });

  it("nothing under noGrad, also when it is left by an exception", () => {
    const x = leaf([1, 2]);
    const y = noGrad(() => mul(x, x));
    expect([y.requiresGrad, y.isLeaf]).toEqual([false, true]);
    // A leaf again: it may be trained, and frozen.
    y.requiresGrad = true;
    y.requiresGrad = false;
    expect(() =>
      noGrad(() => {
        throw new Error("out");
      }),
    ).toThrow("out");
    noGrad(() => noGrad(() => undefined));
    expect(mul(x, x).isLeaf).toBe(false);
  });

  it("nothing past detach, and nothing towards what needs no gradient", async () => {
    const x = leaf([1, 2]);
    const c = Tensor.from(Float32Array.of(5, 6), [2]);
    sum(mul(add(mul(x, 3).detach(), x), c)).backward();
    expect(await gradOf(x)).toEqual([5, 6]);
    expect(c.grad).toBeNull();
    expect(mul(c, c).isLeaf).toBe(true);
  });

  it("keeps gradients of leaves only", async () => {
    const x = leaf([1, 2]);
    const y = mul(x, 2);
    sum(y).backward();
    expect(y.grad).toBeNull();
    expect(await gradOf(x)).toEqual([2, 2]);
  });
});

describe("gradients of leaves own their memory", () => {
  it("where one tensor is the gradient of several", async () => {
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    const seed = Tensor.from(Float32Array.of(6, 8), [2]);
    add(a, b).backward(seed);
    clipGradNorm([a], 1);
    expectClose(await gradOf(a), [0.6, 0.8]);
    expect(await gradOf(b)).toEqual([6, 8]);
    expect(Array.from(await seed.data())).toEqual([6, 8]);
  });

  it("where it went through views", async () => {
    const [a, b] = [leaf([1, 2, 3, 4], [2, 2]), leaf([1, 1, 1, 1])];
    add(flatten(a, 0), reshape(b, [4])).backward(Tensor.full([4], 1));
    a.grad!.fill(7);
    expect(await gradOf(b)).toEqual([1, 1, 1, 1]);
    expect(a.grad!.shape).toEqual([2, 2]);
  });
});

describe("deep graphs", () => {
  it("5,000 operations, backwards", async () => {
    const before = memory();
    const x = leaf([1, 2]);
    scope(() => {
      let h: Tensor = affine(x, 3);
      for (let i = 0; i < 5000; i++) h = reshape(h, i % 2 ? [2] : [2, 1]);
      sum(h).backward();
    });
    expect(await gradOf(x)).toEqual([3, 3]);
    x.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });

  it("50,000 operations, freed without a backward", () => {
    const before = memory();
    const x = leaf([1, 2]);
    scope(() => {
      let h: Tensor = square(x);
      for (let i = 0; i < 50_000; i++) h = reshape(h, i % 2 ? [2] : [2, 1]);
    });
    x.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });
});

describe("random graphs", () => {
  it("agree with finite differences", async () => {
    for (const seed of [1, 2, 3]) {
      const inputs = [
        { shape: [3, 4], data: randomData([3, 4], seed) },
        { shape: [4, 3], data: randomData([4, 3], seed + 10) },
        { shape: [3], data: randomData([3], seed + 20) },
      ];
      await gradcheck((x, w, b) => {
        const h = tanh(add(matmul(x!, w!), b!));
        const again = mul(matmul(h, h), affine(h, 0.5, 1));
        return add(relu(add(again, 2)), mul(b!, sum(square(x!))));
      }, inputs);
    }
  });
});
