import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, ShapeError } from "../../src/errors";
import { Linear } from "../../src/nn";
import { add, mul, relu, reshape, square } from "../../src/tensor/ops/elementwise";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { sum } from "../../src/tensor/ops/reduce";
import { keep, memory, scope } from "../../src/tensor/storage";
import { noGrad, record, Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

beforeAll(gpu);

const tensor = (...values: number[]) => Tensor.from(Float32Array.from(values), [values.length]);

function leaf(...values: number[]): Tensor {
  const t = tensor(...values);
  t.requiresGrad = true;
  return t;
}

/** What `body` adds to the counts of live tensors, buffers and bytes. */
function growth(body: () => void): number[] {
  const before = memory();
  body();
  const after = memory();
  return [after.tensors - before.tensors, after.storages - before.storages, after.bytes - before.bytes];
}

describe("JSON", () => {
  it("says of a tensor and of a network what they are, and nothing of what they lie on", () => {
    expect(JSON.stringify({ x: tensor(1, 2) })).toMatch(/^\{"x":"Tensor f32 \[2\] on /);
    expect(JSON.stringify(new Linear(2, 3)).length).toBeLessThan(1000);
    expect(JSON.stringify(tensor(1).device)).toMatch(/^"Device /);
  });
});

describe("scope", () => {
  it("hands on what lies in maps, sets, objects without a prototype and circles", () => {
    class Pair {
      constructor(readonly a: Tensor) {}
    }
    const circle: { self?: unknown; t?: Tensor } = {};
    const out = scope(() => {
      circle.self = circle;
      circle.t = tensor(1);
      const bare = Object.assign(Object.create(null), { t: tensor(2) });
      return [new Map([["a", tensor(3)]]), new Set([tensor(4)]), bare, circle, new Pair(tensor(5))] as const;
    });
    const [map, set, bare, , pair] = out;
    const handed = [map.get("a")!, ...set, bare.t as Tensor, circle.t!];
    expect(handed.map((t) => t.isDisposed)).toEqual([false, false, false, false]);
    expect(pair.a.isDisposed).toBe(true);
    for (const t of handed) t.dispose();
  });

  it("frees all but what is returned: alone, in arrays, in objects", () => {
    let freed: Tensor[] = [];
    const one = scope(() => {
      freed = [tensor(1), tensor(2)];
      return tensor(3);
    });
    expect([one.isDisposed, ...freed.map((t) => t.isDisposed)]).toEqual([false, true, true]);

    const out = scope(() => ({ a: tensor(1), list: [tensor(2), { deep: tensor(3) }], n: 4, none: null }));
    const { a, list } = out;
    expect([a, list[0], (list[1] as { deep: Tensor }).deep].map((t) => (t as Tensor).isDisposed)).toEqual([
      false,
      false,
      false,
    ]);
    for (const t of [one, a, list[0], (list[1] as { deep: Tensor }).deep]) (t as Tensor).dispose();
  });

  it("hands what an inner scope returns to the outer one", () => {
    let inner!: Tensor;
    let kept!: Tensor;
    const outer = scope(() => {
      inner = scope(() => tensor(1));
      expect(inner.isDisposed).toBe(false);
      kept = scope(() => keep(tensor(2)));
      return scope(() => [tensor(3)]);
    });
    expect([inner, kept, outer[0]!].map((t) => t.isDisposed)).toEqual([true, false, false]);
    kept.dispose();
    outer[0]!.dispose();
  });

  it("leaves tensors made outside alone, returned or not", () => {
    const outside = tensor(1);
    expect(scope(() => outside).isDisposed).toBe(false);
    scope(() => mul(outside, 2));
    expect(outside.isDisposed).toBe(false);
    outside.dispose();
  });

  it("frees everything when its body throws, and the scope outside goes on", () => {
    const change = growth(() => {
      scope(() => {
        const first = tensor(1);
        expect(() =>
          scope(() => {
            add(tensor(2), first);
            throw new Error("in between");
          }),
        ).toThrow("in between");
        expect(first.isDisposed).toBe(false);
        expect(() => scope(() => add(tensor(1, 2), tensor(1, 2, 3)))).toThrow(ShapeError);
        tensor(3);
      });
    });
    expect(change).toEqual([0, 0, 0]);
  });

  it("refuses an asynchronous body, whose later failure is not a second error", async () => {
    let made!: Tensor;
    let late: Promise<unknown> = Promise.resolve();
    const body = () => {
      late = (async () => {
        made = tensor(1);
        await Promise.resolve();
        return made.data();
      })();
      return late;
    };
    expect(() => scope(body)).toThrow(ArgumentError);
    expect(made.isDisposed).toBe(true);
    await expect(late).rejects.toThrow(LifetimeError);
  });
});

describe("dispose", () => {
  it("is idempotent, and using the tensor after it is an error", async () => {
    const t = tensor(1, 2);
    const change = growth(() => {
      t.dispose();
      t.dispose();
    });
    expect(change).toEqual([-1, -1, -8]);
    expect(() => mul(t, 2)).toThrow(LifetimeError);
    expect(() => t.view([2])).toThrow(LifetimeError);
    expect(() => t.fill(0)).toThrow(LifetimeError);
    expect(() => t.write(Float32Array.of(1, 2))).toThrow(/disposed.*return it from its scope/);
    await expect(t.data()).rejects.toThrow(LifetimeError);
  });

  it("keeps memory that a view still shows", async () => {
    const t = tensor(1, 2, 3, 4);
    const view = t.view([2, 2]);
    expect(growth(() => t.dispose())).toEqual([-1, 0, 0]);
    expect(Array.from(await view.data())).toEqual([1, 2, 3, 4]);
    expect(growth(() => view.dispose())).toEqual([-1, -1, -16]);
  });

  it("takes the gradient with it", () => {
    const x = leaf(1, 2);
    scope(() => sum(square(x)).backward());
    expect(growth(() => x.dispose())).toEqual([-2, -2, -16]);
  });

  it("may come between recording and submitting", async () => {
    const x = tensor(3, 4);
    const y = square(x);
    x.dispose();
    // Takes the buffer that x left, behind the commands that read it.
    const z = Tensor.full([2], 7);
    expect(Array.from(await y.data())).toEqual([9, 16]);
    expect(Array.from(await z.data())).toEqual([7, 7]);
    y.dispose();
    z.dispose();
  });
});

describe("memory()", () => {
  it("counts tensors, buffers and bytes asked for", () => {
    const made: Tensor[] = [];
    expect(growth(() => made.push(Tensor.empty([3, 5]), Tensor.empty([7], "i32")))).toEqual([2, 2, 4 * 22]);
    expect(growth(() => made.push(made[0]!.view([15])))).toEqual([1, 0, 0]);
    expect(growth(() => made.push(Tensor.empty([0, 9])))).toEqual([1, 1, 0]);
    expect(growth(() => made.push(Tensor.empty([])))).toEqual([1, 1, 4]);
    const before = memory();
    for (const t of made) t.dispose();
    const after = memory();
    expect(before.tensors - after.tensors).toBe(5);
    expect(before.bytes - after.bytes).toBe(4 * 23);
    expect(after.pooledBytes).toBe(before.pooledBytes);
  });

  it("shows what a graph holds as buffers that no tensor handle has", () => {
    const x = leaf(1, 2);
    let loss!: Tensor;
    const recorded = growth(() => {
      loss = scope(() => sum(square(square(x))));
    });
    expect(recorded).toEqual([1, 2, 12]);
    expect(growth(() => loss.backward())).toEqual([1, 0, 0]);
    x.dispose();
    loss.dispose();
  });
});

describe("graphs", () => {
  it("that get no backward are freed with their output", () => {
    const x = leaf(1, 2);
    let y!: Tensor;
    const change = growth(() => {
      y = scope(() => relu(square(add(x, 1))));
      y.dispose();
    });
    expect(change).toEqual([0, 0, 0]);
    expect(x.isDisposed).toBe(false);
    x.dispose();
  });

  it("live as long as one of their outputs", () => {
    const x = leaf(1, 2);
    const before = memory();
    const [a, b] = scope(() => {
      const shared = square(square(x));
      return [sum(shared), sum(relu(shared))];
    });
    a!.dispose();
    b!.backward();
    x.zeroGrad();
    b!.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
    x.dispose();
  });

  it("give back all but the leaves' gradients after a backward", () => {
    const [w, b] = [leaf(1, 2, 3, 4), leaf(1, 2)];
    const change = growth(() => {
      scope(() => {
        const h = relu(add(matmul(Tensor.full([3, 2], 1), reshape(w, [2, 2])), b));
        sum(mul(h, h)).backward();
      });
    });
    expect(change).toEqual([2, 2, 16 + 8]);
    // Outside any scope too: only the handles that the caller holds stay.
    const held: Tensor[] = [];
    expect(
      growth(() => {
        const h = mul(w, w);
        const loss = sum(h);
        loss.backward();
        held.push(h, loss);
      }),
    ).toEqual([2, 2, 16 + 4]);
    for (const t of [...held, w, b]) t.dispose();
  });

  it("lose nothing when backward throws in the middle", () => {
    const [x, y] = [leaf(1, 2), leaf(3, 4)];
    const faulty = (t: Tensor) =>
      record("faulty", mulDetached(t), [t], [t], (saved) => (g) => {
        mul(g, saved);
        throw new Error("no gradient today");
      });
    const mulDetached = (t: Tensor) => noGrad(() => mul(t, 2));
    const change = growth(() => {
      const loss = scope(() => {
        const shared = square(x);
        return sum(add(mul(square(y), shared), faulty(square(shared))));
      });
      expect(() => loss.backward()).toThrow("no gradient today");
      expect(() => loss.backward()).toThrow(LifetimeError);
      loss.dispose();
      x.zeroGrad();
      y.zeroGrad();
    });
    expect(change).toEqual([0, 0, 0]);
    expect(square(x).isLeaf, "recording goes on").toBe(false);
  });
});
