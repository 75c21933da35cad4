import { describe, expect, it } from "vitest";
import { CARDS, type Card, peak } from "../../../bench/offline/cards";
import type { Counts } from "../../../bench/offline/hot-loop";
import { binding, timeOf, turnsOf } from "../../../bench/offline/model";

/** Round numbers: 10 units of 100 lanes at 1 GHz, two multiply-adds at a time. */
const CARD: Card = {
  name: "round",
  family: "round",
  isBorrowed: false,
  units: 10,
  lanes: 100,
  fill: 100,
  dual: 2,
  clock: 1e9,
  workgroupBytes: 100,
  memory: 1e12,
  latency: 1e-7,
  launch: 5e-6,
};
const counts = (some: Partial<Counts>): Counts => ({
  instructions: 0,
  multiplyAdds: 0,
  paired: 0,
  vector: 0,
  workgroupBytes: 0,
  bufferBytes: 0,
  ...some,
});

describe("turns of the hot loop", () => {
  const work = { groups: 10, size: 100, operations: 0, loads: 0, bytes: 32_000 };

  it("are those that a product's multiply-adds take", () => {
    expect(turnsOf({ ...work, operations: 160_000 }, counts({ multiplyAdds: 8, bufferBytes: 4 }))).toBe(10);
  });

  it("are else those that move its bytes, of which no more count than are loaded", () => {
    expect(turnsOf(work, counts({ multiplyAdds: 8, bufferBytes: 16 }))).toBe(2);
    expect(turnsOf({ ...work, loads: 4000 }, counts({ bufferBytes: 16 }))).toBe(1);
    expect(turnsOf(work, counts({ vector: 3 }))).toBe(1);
  });
});

describe("the time of a dispatch", () => {
  const work = { groups: 10, size: 100, operations: 160_000, loads: 0, bytes: 32_000 };
  const turn = counts({ multiplyAdds: 8, paired: 6, vector: 12, workgroupBytes: 50, bufferBytes: 4 });

  it("is the largest of its parts and a launch", () => {
    const time = timeOf(work, { turn, rest: counts({ vector: 20, bufferBytes: 8 }) }, CARD);
    // 1,000 invocations of 20 + 10 · (6 + 6 / 2) slots, at 10¹² a second.
    expect(time.arithmetic).toBeCloseTo(1.1e-7, 15);
    // 1,000 invocations of 500 bytes, at 10¹² a second.
    expect(time.workgroup).toBeCloseTo(5e-7, 15);
    expect(time.memory).toBeCloseTo(3.2e-8, 15);
    // Ten turns and the rest wait for what they load.
    expect(time.latency).toBeCloseTo(1.1e-6, 15);
    expect(time.total).toBeCloseTo(6.1e-6, 15);
    expect(binding(time)).toBe("latency");
    // 80,000 multiply-adds, two at a time.
    expect(time.ideal).toBeCloseTo(4e-8, 15);
  });

  it("is that of the unit with most workgroups", () => {
    const rest = counts({ vector: 20 });
    const alone = timeOf({ ...work, groups: 1, operations: 0 }, { turn: null, rest }, CARD);
    expect(alone.arithmetic).toBeCloseTo((100 * 20) / 1e11, 15);
    const eleven = timeOf({ ...work, groups: 11, operations: 0 }, { turn: null, rest }, CARD);
    expect(eleven.arithmetic).toBeCloseTo((2 * 100 * 20) / 1e11, 15);
    expect(eleven.latency).toBe(0);
    // Four share a unit, whose lanes one of them leaves idle.
    const small = timeOf({ ...work, size: 25, groups: 1, operations: 0 }, { turn: null, rest }, CARD);
    expect(small.arithmetic).toBeCloseTo(alone.arithmetic, 15);
  });
});

it("cards have the rates that their makers state, in TFLOP/s", () => {
  const stated = { navi21: 23, navi31: 61.4, gfx1201: 48.7, vega20: 13.4, h100: 66.9, h200: 66.9 };
  for (const [name, tera] of Object.entries(stated))
    expect(peak(CARDS[name as keyof typeof stated]) / 1e12, name).toBeCloseTo(tera, 0);
});
