import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { LimitError } from "../../src/errors";
import { Allocator } from "../../src/gpu/allocator";
import { BufferPool, type PooledBuffer, sizeClass } from "../../src/gpu/pool";
import { affine, square } from "../../src/tensor/ops/elementwise";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";
import { ownDevice } from "../support/own-device";

/**
 * A device that only counts: the buffers it made and those that were destroyed, by label of size.
 */
function fakeDevice(maxBufferSize = 2 ** 30, maxStorageBufferBindingSize = 2 ** 30) {
  const destroyed: number[] = [];
  const made: number[] = [];
  const createBuffer = ({ size }: { size: number }) => {
    made.push(size);
    return { size, destroy: () => destroyed.push(size) };
  };
  const scopes = { pushErrorScope: () => undefined, popErrorScope: async () => null };
  const limits = { maxBufferSize, maxStorageBufferBindingSize };
  const device = { limits, createBuffer, ...scopes } as unknown as GPUDevice;
  const memory = new Allocator(device, {
    serial: () => 0,
    used: () => 0,
    reclaim: () => 0,
    refused: () => undefined,
  });
  return { memory, made, destroyed };
}

function fakePool(budget: number) {
  const fake = fakeDevice();
  const forgotten: number[] = [];
  const pool = new BufferPool(fake.memory, budget, (b) => forgotten.push(b.id));
  return { pool, forgotten, ...fake };
}

const used = (b: PooledBuffer, serial: number): PooledBuffer => {
  b.serial = serial;
  return b;
};

// The pool reads buffer usages, which Node has once WebGPU is open.
beforeAll(gpu);

describe("size classes", () => {
  it("hold what is asked for, in whole vectors, and waste little", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 34 }), (bytes) => {
        const size = sizeClass(bytes);
        expect(size).toBeGreaterThanOrEqual(Math.max(bytes, 256));
        expect(size % 256).toBe(0);
        expect(size - bytes).toBeLessThanOrEqual(Math.max(256, bytes / 4));
        expect(sizeClass(size)).toBe(size);
      }),
    );
  });

  it("are four an octave", () => {
    expect([0, 1, 256, 257, 1024, 1025, 1281, 1537, 1793, 2048].map(sizeClass)).toEqual([
      256, 256, 256, 512, 1024, 1280, 1536, 1792, 2048, 2048,
    ]);
    const classes = new Set(Array.from({ length: 4096 }, (_, i) => sizeClass(2 ** 20 + 256 * (i + 1))));
    expect(classes.size).toBe(4);
  });
});

describe("a pool", () => {
  it("hands released buffers to the next taker of their class", () => {
    const { pool, made } = fakePool(2 ** 20);
    const [a, b] = [pool.acquire(1000), pool.acquire(1000)];
    expect(a).not.toBe(b);
    pool.release(a);
    expect(pool.acquire(2000)).not.toBe(a);
    expect(pool.acquire(1024)).toBe(a);
    expect(pool.acquire(1000)).not.toBe(b);
    expect(made).toEqual([1024, 1024, 2048, 1024]);
    expect(pool.current).toMatchObject({ buffers: 4, bytes: 3 * 1024 + 2048, freeBytes: 0, created: 4 });
  });

  it("does not hand out what the batch being recorded uses, when asked not to", () => {
    const { pool } = fakePool(2 ** 20);
    const [old, recent] = [used(pool.acquire(10), 6), used(pool.acquire(10), 7)];
    pool.release(old);
    pool.release(recent);
    expect(pool.acquire(10, 7)).toBe(old);
    const fresh = pool.acquire(10, 7);
    expect(fresh).not.toBe(recent);
    expect(pool.acquire(10)).toBe(recent);
    expect(pool.current.freeBytes).toBe(0);
  });

  it("destroys the waiting ones beyond its budget, large ones first", () => {
    const { pool, destroyed, forgotten } = fakePool(2048);
    const buffers = [256, 4096, 1024, 1024, 512].map((n) => pool.acquire(n));
    for (const b of buffers) pool.release(b);
    expect(pool.current.freeBytes).toBe(6912);
    pool.trim();
    expect(destroyed).toEqual([4096, 1024]);
    expect(forgotten).toEqual([buffers[1]!.id, buffers[2]!.id]);
    expect(pool.current).toMatchObject({ buffers: 3, bytes: 1792, freeBytes: 1792, created: 5 });
    pool.trim();
    expect(destroyed.length).toBe(2);
    pool.trim(0);
    expect(pool.current).toMatchObject({ buffers: 0, bytes: 0, freeBytes: 0, created: 5 });
    expect(pool.acquire(256).id).not.toBe(buffers[0]!.id);
  });

  it("spares what the last batches used, whatever the budget", () => {
    const { pool, destroyed } = fakePool(0);
    const buffers = [3, 9, 5, 10].map((serial) => used(pool.acquire(1000), serial));
    for (const b of buffers) pool.release(b);
    pool.trim(undefined, 6);
    expect(destroyed.length).toBe(2);
    expect([pool.acquire(1000), pool.acquire(1000)].map((b) => b.serial).sort()).toEqual([10, 9]);
  });

  it("refuses what the device cannot bind, and rounds no class past it", () => {
    const pool = new BufferPool(fakeDevice(10_000, 5000 + 4).memory, 0, () => undefined);
    expect(pool.acquire(4800).bytes).toBe(4992);
    expect(pool.acquire(4992).bytes).toBe(4992);
    for (const bytes of [4993, 5000, 9000]) expect(() => pool.acquire(bytes), String(bytes)).toThrow(LimitError);
    expect(pool.current.created).toBe(2);
    const small = new BufferPool(fakeDevice(1024, 2 ** 20).memory, 0, () => undefined);
    expect(() => small.acquire(1025)).toThrow(/1025 bytes.*at most 1024/);
  });

  it("remembers the most bytes that were in use, and that existed, until the peaks are reset", () => {
    const { pool } = fakePool(0);
    const [a, b] = [pool.acquire(1024), pool.acquire(4096)];
    pool.release(b);
    expect(pool.current).toMatchObject({ peakUsed: 5120, peakBytes: 5120 });
    // What waits exists, and is not in use.
    const c = pool.acquire(2048);
    expect(pool.current).toMatchObject({ peakUsed: 5120, peakBytes: 7168 });
    pool.release(a);
    pool.resetPeak();
    expect(pool.current).toMatchObject({ peakUsed: 2048, peakBytes: 7168 });
    pool.trim();
    pool.resetPeak();
    expect(pool.current).toMatchObject({ peakUsed: 2048, peakBytes: 2048 });
    // One that is taken again counts as one that is made.
    pool.release(c);
    pool.resetPeak();
    expect(pool.current.peakUsed).toBe(0);
    pool.acquire(2048);
    expect(pool.current).toMatchObject({ peakUsed: 2048, peakBytes: 2048, created: 3 });
  });

  it("takes a waiting buffer of up to twice the size before it makes one, of large ones", () => {
    const { pool, made } = fakePool(2 ** 30);
    const [double, more] = [pool.acquire(2 ** 20), pool.acquire(1.25 * 2 ** 20)];
    pool.release(more);
    pool.release(double);
    pool.resetPeak();
    // The smallest that holds it first; at most twice as large.
    const half = pool.acquire(2 ** 19);
    expect(half).toBe(double);
    expect(half).toMatchObject({ bytes: 2 ** 20, taken: 2 ** 19 });
    expect(pool.acquire(2 ** 19)).not.toBe(more);
    // What is in use is what was asked for.
    expect(pool.current.peakUsed).toBe(2 ** 20);
    pool.release(half);
    expect(pool.acquire(2 ** 20)).toMatchObject({ id: double.id, taken: 2 ** 20 });
    const small = pool.acquire(2 ** 15);
    pool.release(small);
    expect(pool.acquire(2 ** 14)).not.toBe(small);
    expect(made.length).toBe(5);
  });

  it("keeps its books, whatever is taken, pinned and given back", () => {
    const step = fc.record({
      what: fc.constantFrom("take", "give", "pin", "unpin", "trim"),
      bytes: fc.integer({ min: 1, max: 2 ** 18 }),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { pool, made, destroyed } = fakePool(2 ** 17);
        const [held, pinned, all] = [new Set<PooledBuffer>(), [] as PooledBuffer[], new Set<PooledBuffer>()];
        const pick = (from: readonly PooledBuffer[], i: number) => from[i % from.length];
        let peak = 0;
        for (const { what, bytes, which } of steps) {
          if (what === "take") {
            const b = pool.acquire(bytes);
            // Nobody else has it.
            expect(held.has(b) || pinned.includes(b)).toBe(false);
            expect(b.taken).toBe(sizeClass(bytes));
            expect(b.bytes).toBeLessThanOrEqual(2 * b.taken);
            held.add(b);
            all.add(b);
          }
          const [mine, kept, one] = [pick([...held], which), pick(pinned, which), pick([...all], which)];
          if (what === "give" && mine) {
            held.delete(mine);
            pool.release(mine);
          }
          if (what === "pin" && one?.usable) {
            pinned.push(one);
            pool.pin(one);
          }
          if (what === "unpin" && kept) {
            pinned.splice(pinned.indexOf(kept), 1);
            pool.unpin(kept);
          }
          if (what === "trim") pool.trim();
          const sum = (sizes: Iterable<number>) => [...sizes].reduce((a, b) => a + b, 0);
          const busy = [...new Set([...held, ...pinned])];
          peak = Math.max(peak, sum(busy.map((b) => b.taken)));
          const bytesNow = sum(made) - sum(destroyed);
          expect(pool.current).toMatchObject({
            buffers: made.length - destroyed.length,
            bytes: bytesNow,
            freeBytes: bytesNow - sum(busy.map((b) => b.bytes)),
            peakUsed: peak,
          });
        }
      }),
    );
  });

  it("numbers its buffers apart from every other pool's", () => {
    const ids = [fakePool(0), fakePool(0)].flatMap(({ pool }) => [pool.acquire(1).id, pool.acquire(1).id]);
    expect(new Set(ids).size).toBe(4);
  });
});

describe("on a device", () => {
  it("a repeated step finds its buffers again, however small the budget", async () => {
    const d = await ownDevice({ poolBytes: 0 });
    const step = () => {
      const tensors = [1, 2, 3].map((n) => Tensor.empty([n * 1000], "f32", d).fill(n));
      for (const t of tensors) t.dispose();
      d.flush();
    };
    step();
    // Buffers are let go when batches are submitted, and the first waits for its kernel.
    await d.sync();
    const { created } = d.poolStats;
    for (let i = 0; i < 10; i++) step();
    expect(d.poolStats.created).toBe(created);
    // What the step does not use any more goes after a few batches.
    for (let i = 0; i < 10; i++) {
      Tensor.empty([1000], "f32", d).fill(1).dispose();
      d.flush();
    }
    expect(d.poolStats.buffers).toBe(1);
    d.destroy();
  });

  it("destroyed buffers are forgotten by the bind groups that had them", async () => {
    const d = await gpu();
    const groups = (d as unknown as { bindGroups: { groups: Map<string, GPUBindGroup> } }).bindGroups.groups;
    const naming = (id: number) => [...groups.keys()].filter((key) => key.split(",").slice(1).includes(String(id)));
    let id = 0;
    const run = async () => {
      const x = Tensor.from(Float32Array.of(1, 2, 3), [3]);
      const y = affine(square(x), 2, 1);
      const out = Array.from(await y.data());
      id = y.buffer.id;
      x.dispose();
      y.dispose();
      return out;
    };
    expect(await run()).toEqual([3, 9, 19]);
    await d.sync();
    const { created } = d.poolStats;
    expect(naming(id)).not.toEqual([]);
    d.pool.trim(0);
    expect(naming(id)).toEqual([]);
    expect(d.poolStats.freeBytes).toBe(0);
    expect(await run()).toEqual([3, 9, 19]);
    await d.sync();
    expect(d.poolStats.created).toBeGreaterThan(created);
  });
});
