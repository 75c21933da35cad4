/** Sums of parts that wait for who asks: the same numbers in fewer launches, in whatever order. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { LimitError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import type { PooledBuffer } from "../../src/gpu/pool";
import { SGD } from "../../src/optim/sgd";
import { sum } from "../../src/tensor/ops/reduce";
import { addSplits } from "../../src/tensor/ops/splits";
import { recordStep } from "../../src/tensor/recorded";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { trainStep } from "../../src/train/step";
import { expectClose, gpu, randomData, setCaps } from "../support/gpu";
import { alexNet } from "../support/networks";
import { ownDevice } from "../support/own-device";

let d: Device;
let restore: () => void;
beforeAll(async () => {
  d = await gpu();
});
// The embedded adapter waits with none.
beforeEach(() => {
  restore = setCaps(d, { adapter: "hardware" });
});
afterEach(() => restore());

const SPLITS = 5;
const SIZE = 70;

/** What `k` sums to, and parts of it. */
function example(k: number, size = SIZE) {
  const data = randomData([SPLITS, size], k);
  const want = Float32Array.from({ length: size }, (_, i) => {
    let total = 0;
    for (let s = 0; s < SPLITS; s++) total += data[s * size + i]!;
    return total;
  });
  const source = Tensor.from(data, [SPLITS, size]);
  const fill = (parts: PooledBuffer) => d.copy(source.buffer, parts, data.byteLength);
  return { fill, want, size };
}

/** A sum that waits. */
function waiting(k: number, into?: Tensor) {
  const { fill, want, size } = example(k);
  const y = into ?? Tensor.empty([size]);
  addSplits(y, SPLITS, fill, into !== undefined);
  return { y, want };
}

/** Launches of `body`, without its copies. */
function launches(body: () => void): number {
  const before = d.counters.dispatches;
  body();
  return d.counters.dispatches - before;
}

const plus = (a: ArrayLike<number>, b: ArrayLike<number>) => Float32Array.from(a, (v, i) => v + b[i]!);

describe("sums of parts that wait", () => {
  it("are added up together, by the first who asks for one", async () => {
    const sums = [1, 2, 3].map((k) => waiting(k));
    expect(launches(() => sum(sums[1]!.y))).toBe(2);
    expect(launches(() => sum(sums[0]!.y))).toBe(1);
    for (const { y, want } of sums) expectClose(await y.data(), want);
  });

  it("are added up where no more fit into a launch", async () => {
    let sums: ReturnType<typeof waiting>[] = [];
    const most = Math.floor(d.caps.maxStorageBuffers / 2);
    const count = launches(() => {
      sums = Array.from({ length: most }, (_, k) => waiting(k));
    });
    expect(count).toBe(1);
    for (const { y, want } of sums) expectClose(await y.data(), want);
  });

  it("are added up before they are submitted", async () => {
    const { y, want } = waiting(1);
    expect(launches(() => d.flush())).toBe(1);
    expectClose(await y.data(), want);
  });

  it("are added to what there is, twice to the same", async () => {
    const { y, want } = waiting(1);
    waiting(2, y);
    waiting(3, y);
    expectClose(await y.data(), plus(plus(want, example(2).want), example(3).want));
  });

  it("do not overwrite what was written after them", async () => {
    const [{ y }, other] = [waiting(1), waiting(2)];
    y.write(new Float32Array(SIZE).fill(3));
    expectClose(await y.data(), new Float32Array(SIZE).fill(3));
    expectClose(await other.y.data(), other.want);
    const { y: filled } = waiting(4);
    filled.fill(7);
    expectClose(await filled.data(), new Float32Array(SIZE).fill(7));
  });

  it("do not disturb who took the memory of one that nobody wanted", async () => {
    const { y: gone } = waiting(1);
    const buffer = gone.buffer;
    gone.dispose();
    const next = Tensor.full([SIZE], 2);
    expect(next.buffer).toBe(buffer);
    const { y, want } = waiting(2);
    expectClose(await next.data(), new Float32Array(SIZE).fill(2));
    expectClose(await y.data(), want);
  });

  it("count as written from the start, for who keeps them for later", () => {
    const { y } = waiting(1);
    const { version } = y;
    d.flush();
    expect(y.version).toBe(version);
  });

  it("leave no memory behind", async () => {
    const before = memory();
    scope(() => {
      for (let k = 0; k < 7; k++) waiting(k);
    });
    await d.sync();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("leave none where their parts could not be computed", () => {
    const { bytes, freeBytes } = d.poolStats;
    const y = Tensor.empty([SIZE]);
    const refuse = () => {
      throw new LimitError("no such kernel");
    };
    expect(() => addSplits(y, 1000, refuse)).toThrow("no such kernel");
    y.dispose();
    expect(d.poolStats.bytes - d.poolStats.freeBytes).toBe(bytes - freeBytes);
  });

  it("are part of a step that is recorded, and not of the next", async () => {
    const outside = waiting(1);
    const { fill, want } = example(2);
    const y = keep(Tensor.empty([SIZE]));
    const step = recordStep(() => addSplits(y, SPLITS, fill));
    // The parts are copied, and added up.
    expect(step.commands).toBe(2);
    y.fill(0);
    step.replay();
    expectClose(await y.data(), want);
    expectClose(await outside.y.data(), outside.want);
    step.dispose();
    y.dispose();
  });

  it("do nothing where nothing runs", async () => {
    const { y, want } = waiting(1);
    const other = Tensor.full([SIZE], 1);
    d.dryly(() => waiting(2, other));
    expectClose(await y.data(), want);
    expectClose(await other.data(), new Float32Array(SIZE).fill(1));
  });

  it("are lost with their parts, and nothing that there was is", async () => {
    const sound = waiting(1);
    const y = Tensor.full([SIZE], 1);
    const lose = (parts: PooledBuffer) => void (parts.lost = new LimitError("no memory for the parts"));
    const fresh = Tensor.empty([SIZE]);
    addSplits(fresh, SPLITS, lose);
    addSplits(y, SPLITS, lose, true);
    expect(() => sum(fresh)).toThrow("no memory for the parts");
    expectClose(await y.data(), new Float32Array(SIZE).fill(1));
    expectClose(await sound.y.data(), sound.want);
  });

  it("end with their device", async () => {
    const own = await ownDevice();
    setCaps(own, { adapter: "hardware" });
    const source = Tensor.from(randomData([SPLITS, SIZE], 1), [SPLITS, SIZE], own);
    const y = Tensor.empty([SIZE], "f32", own);
    addSplits(y, SPLITS, (parts) => own.copy(source.buffer, parts, 4 * SPLITS * SIZE));
    own.destroy();
    expect(() => own.flush()).toThrow(/destroyed/);
    await expect(y.data()).rejects.toThrow(/destroyed/);
  });
});

it("a network's steps come to the same bits, in fewer launches", async () => {
  const shape = [8, 32, 32, 3];
  const steps = async (together: boolean) => {
    const model = alexNet({ width: 0.0625, seed: 1, scheme: "pan", passports: { 4: true, 5: true, 6: true } });
    const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
    const run = d.run.bind(d);
    // Whoever gives the next kernel gives what waits too.
    if (!together)
      vi.spyOn(d, "run").mockImplementation((...given) => {
        run(...given);
        d["deferred"].complete();
      });
    const count = launches(() => {
      for (let k = 0; k < 2; k++) {
        const y = Int32Array.from({ length: 8 }, (_, i) => i);
        trainStep(model, optimizer, [() => ({ x: Tensor.from(randomData(shape, k), shape), y: Tensor.from(y, [8]) })]);
        d.flush();
      }
    });
    vi.restoreAllMocks();
    const weights = await Promise.all(model.parameters().map((p) => p.data()));
    optimizer.dispose();
    model.dispose();
    return { count, weights };
  };
  const [together, alone] = [await steps(true), await steps(false)];
  expect(together.weights).toEqual(alone.weights);
  expect(together.count).toBeLessThan(alone.count);
}, 300_000);
