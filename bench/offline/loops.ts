/** Loops of machine code, and how often they turn where the code says so. */
import type { CodeBlock, Instruction } from "./assembly";

export interface Loop {
  /** Its first and last block. */
  readonly from: number;
  readonly to: number;
  /** Turns, where its counter and its limit are constants; else null. */
  readonly turns: number | null;
}

const isBranch = ({ name }: Instruction) => name === "s_branch" || name.startsWith("s_cbranch");
const NUMBER = /^-?(0x[\da-f]+|\d+)$/i;
const numberOf = (operand: string | undefined): number | null =>
  operand !== undefined && NUMBER.test(operand) ? Number(operand) : null;

/** All loops: a jump back to a block makes one of everything up to the jump. */
export function findLoops(blocks: readonly CodeBlock[]): Loop[] {
  const at = new Map(blocks.map(({ label }, i) => [label, i]));
  const ends = new Map<number, number>();
  blocks.forEach(({ instructions }, i) => {
    for (const each of instructions.filter(isBranch)) {
      const target = at.get(each.operands.at(-1) ?? "");
      if (target !== undefined && target <= i) ends.set(target, i);
    }
  });
  const bounds = [...ends].map(([from, to]) => ({ from, to }));
  const inside = (a: { from: number; to: number }, b: { from: number; to: number }) =>
    a !== b && a.from >= b.from && a.to <= b.to;
  return bounds.map((loop) => {
    const inner = bounds.filter((other) => inside(other, loop));
    const own = blocks.filter(
      (_, i) => i >= loop.from && i <= loop.to && !inner.some(({ from, to }) => i >= from && i <= to),
    );
    return { ...loop, turns: turnsOf(own.flatMap(({ instructions }) => instructions)) };
  });
}

/**
 * A counter that goes up from 0 by a constant and is compared with one: compilers keep the shape of
 * `for (var k = 0u; k < 16u; k++)` where they do not unroll it.
 */
function turnsOf(instructions: readonly Instruction[]): number | null {
  const steps = new Map<string, number>();
  for (const { name, operands } of instructions) {
    const [to, from, by] = operands;
    if (/^s_add_(u32|i32|co_u32|co_i32)$/.test(name) && to !== undefined && to === from) {
      const step = numberOf(by);
      if (step !== null && step > 0) steps.set(to, step);
    }
    if (/^s_addk/.test(name) && to !== undefined) steps.set(to, numberOf(from) ?? 0);
  }
  for (const { name, operands } of instructions) {
    const step = steps.get(operands[0] ?? "");
    const limit = numberOf(operands[1]);
    if (/^s_cmpk?_/.test(name) && step && limit !== null && limit >= step) return Math.ceil(limit / step);
  }
  return null;
}
