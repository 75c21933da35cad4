import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseAssembly } from "../../../bench/offline/assembly";
import { countCode } from "../../../bench/offline/hot-loop";
import { findLoops } from "../../../bench/offline/loops";

// Of one kernel: 64 numbers are staged a turn, and each is multiplied by 4 in a loop of 64 turns.
const sample = (name: string) => readFileSync(new URL(`code/${name}.s`, import.meta.url), "utf8");

describe.each(["navi31", "gfx1201"])("machine code as printed for %s", (name) => {
  const blocks = parseAssembly(sample(name));

  it("is blocks of instructions with plain operands", () => {
    expect(blocks.map(({ label }) => label)).toEqual(["BB0", "BB1", "BB4", "BB5", "BB9", "BB12", "BB13"]);
    const inner = blocks[3]!.instructions;
    expect(inner.find((each) => each.name === "s_add_u32")?.operands).toEqual(["s10", "s10", "1"]);
    expect(inner.find((each) => each.name === "s_cmp_ge_u32")?.operands).toEqual(["s10", "64"]);
    expect(inner.at(-1)).toEqual({ name: "s_cbranch_scc0", operands: ["BB5"] });
  });

  it("has a loop of known turns in one of unknown turns", () => {
    expect(findLoops(blocks)).toEqual([
      { from: 3, to: 3, turns: 64 },
      { from: 1, to: 5, turns: null },
    ]);
  });

  it("is counted with all turns of the inner loop, waits and hints left out", () => {
    expect(countCode(sample(name), 64)).toEqual({
      turn: {
        instructions: 15 + 64 * 15,
        multiplyAdds: 64 * 4,
        paired: 64 * 4,
        vector: 2 + 64 * 9,
        workgroupBytes: 16 + 64 * (4 + 16),
        bufferBytes: 16,
      },
      rest: { instructions: 20, multiplyAdds: 0, paired: 0, vector: 12, workgroupBytes: 16, bufferBytes: 16 },
    });
  });
});

it("counts code without loops once, packed multiply-adds twice, pairs as two, and half words as such", () => {
  const code = [
    "BB0:",
    "\tbuffer_load_u16 v1, v0, s[0:3], 0 offen                      ; 00",
    "\tv_pk_fma_f16 v1, v2, v3, v4                                 ; 00",
    "\tv_fma_mix_f32 v1, v2, v3, v4                                ; 00",
    "\tv_fmac_f32_e32 v1, v2, v3                                   ; 00",
    "\tv_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6      ; 00",
    "\tv_mad_u32_u24 v1, v2, v3, v4                                ; 00",
    "\tds_load_2addr_b64 v[1:4], v0 offset1:1                      ; 00",
    "\ts_endpgm                                                    ; 00",
  ].join("\n");
  const rest = { instructions: 8, multiplyAdds: 5, vector: 6, workgroupBytes: 16, bufferBytes: 2 };
  expect(countCode(code, 32)).toEqual({ turn: null, rest: { ...rest, paired: 2 } });
  expect(countCode(code, 64)).toEqual({ turn: null, rest: { ...rest, paired: 3 } });
});

it("takes the innermost loop around the most multiply-adds for the hot one", () => {
  const loop = (label: string, body: string) => `${label}:\n${body}\ts_cbranch_scc0 ${label}  ; 00\n`;
  const fma = "\tv_fmac_f32_e32 v1, v2, v3  ; 00\n";
  const load = "\tbuffer_load_b128 v[0:3], v4, s[0:3], 0 offen  ; 00\n";
  expect(countCode(loop("BB0", load) + loop("BB1", fma.repeat(3)) + loop("BB2", fma), 64).turn?.multiplyAdds).toBe(3);
  expect(countCode(loop("BB0", load) + loop("BB1", "\ts_mov_b32 s0, 0  ; 00\n"), 64).turn?.bufferBytes).toBe(16);
});
