import { expect, it } from "vitest";
import { CARDS } from "../../../bench/offline/cards";
import type { CompiledKernel } from "../../../bench/offline/compile";
import { predictStep } from "../../../bench/offline/prediction";

const counts = { instructions: 20, multiplyAdds: 5, vector: 10, paired: 0, workgroupBytes: 0, bufferBytes: 16 };
const statistics = { subgroup: 64, registers: 24, spills: 1, waves: 16, workgroupMemory: 512, instructions: 99 };
const compiled = new Map<string, CompiledKernel>([
  ["loop", { statistics, counts: { turn: counts, rest: { ...counts, multiplyAdds: 0 } } }],
  ["line", { statistics, counts: { turn: null, rest: counts } }],
]);
const dispatch = { groups: [2, 3, 4], operations: 0, loads: 0, bytes: 1e6 } as const;

it("a step is the sum of its kernels, slowest first, each with all its dispatches", () => {
  const wgsl = "@compute @workgroup_size(64) fn main() {}";
  const step = {
    kernels: new Map([
      ["line", wgsl],
      ["loop", wgsl],
    ]),
    dispatches: [
      { ...dispatch, kernel: "line" },
      { ...dispatch, kernel: "loop", operations: 1e9 },
      { ...dispatch, kernel: "loop", operations: 3e9 },
    ],
  };
  const prediction = predictStep(step, compiled, CARDS.navi21);
  expect(prediction.dispatches).toBe(3);
  expect(prediction.launches).toBeCloseTo(3 * 3e-3, 12);
  const [loop, line] = prediction.kernels;
  expect(loop).toMatchObject({ kernel: "loop", dispatches: 2, operations: 4e9, bytes: 2e6, multiplyAdds: 0.25 });
  expect(loop).toMatchObject({ waves: 16, registers: 24, spills: 1, workgroupMemory: 512 });
  expect(line).toMatchObject({ kernel: "line", dispatches: 1, binds: "memory", multiplyAdds: null });
  expect(prediction.milliseconds).toBeCloseTo(loop!.milliseconds + line!.milliseconds, 12);
  // A megabyte at 512 GB/s.
  expect(line!.ideal).toBeCloseTo(1e6 / 512e6, 12);
  expect(line!.milliseconds).toBeCloseTo(1e6 / 512e6 + 3e-3, 12);
});
