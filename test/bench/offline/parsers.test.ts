import { describe, expect, it } from "vitest";
import { workgroupSize } from "../../../bench/offline/prediction";
import { MARK, readDump } from "../../../bench/offline/spirv";
import { parseStatistics } from "../../../bench/offline/statistics";

describe("statistics of a driver", () => {
  const row = {
    file: "a.spv",
    subgroup: 64,
    VGPRs: 96,
    "Spilled SGPRs": 1,
    "Spilled VGPRs": 2,
    "LDS size": 14848,
    "Subgroups per SIMD": 16,
    Instructions: 1054,
  };

  it("are read a line each, whatever else is printed", () => {
    const lines = `a warning\n${JSON.stringify(row)}\n${JSON.stringify({ ...row, file: "b.spv", VGPRs: 8 })}\n`;
    const found = parseStatistics(lines);
    expect(found.get("a.spv")).toEqual({
      subgroup: 64,
      registers: 96,
      spills: 3,
      waves: 16,
      workgroupMemory: 14848,
      instructions: 1054,
    });
    expect(found.get("b.spv")?.registers).toBe(8);
  });

  it("are refused where the driver refused, or tells less", () => {
    expect(() => parseStatistics('{"file":"a.spv","error":-13}')).toThrow(/refused a\.spv: VkResult -13/);
    const { VGPRs: _, ...less } = row;
    expect(() => parseStatistics(JSON.stringify(less))).toThrow(/no statistic "VGPRs" of a\.spv/);
  });
});

it("SPIR-V is cut out of what Dawn prints, without what older assemblers do not know", () => {
  const text = (name: string) =>
    [
      "// Dumped WGSL:",
      "fn main() {}",
      "/* Dumped SPIRV disassembly */",
      "; SPIR-V",
      '               OpExtension "SPV_KHR_maximal_reconvergence"',
      "               OpExecutionMode %1 MaximallyReconvergesKHR",
      `               OpName %1 "${name}"`,
      "               OpFunctionEnd",
      "something else",
    ].join("\n");
  const found = readDump(`a warning\n${MARK}0\n${text("first")}\n${MARK}1\nan error\n${MARK}2\n${text("third")}`);
  const code = (name: string) => `; SPIR-V\n               OpName %1 "${name}"\n               OpFunctionEnd\n`;
  expect(found).toEqual([code("first"), null, code("third")]);
});

it("the size of a workgroup is the product of what WGSL states", () => {
  expect(workgroupSize("@compute @workgroup_size(64)\nfn main() {}")).toBe(64);
  expect(workgroupSize("@compute @workgroup_size(8, 4, 2) fn main() {}")).toBe(64);
});
