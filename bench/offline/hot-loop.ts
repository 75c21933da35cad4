/**
 * What an invocation executes, from the machine code: in one turn of the loop where a kernel's time
 * goes, and outside of it.
 */
import { type CodeBlock, type Instruction, parseAssembly } from "./assembly";
import { findLoops, type Loop } from "./loops";

/**
 * What one invocation executes; waits and hints to the scheduler, which do nothing, are left out.
 */
export interface Counts {
  readonly instructions: number;
  /** Fused multiply-adds; of packed ones each half. */
  readonly multiplyAdds: number;
  /** Instructions of the vector unit, multiply-adds among them. */
  readonly vector: number;
  /** Those of them that cards with dual issue (RDNA 3 and later) do two at a time. */
  readonly paired: number;
  /** Bytes read from and written to workgroup memory. */
  readonly workgroupBytes: number;
  /** Bytes read from and written to buffers. */
  readonly bufferBytes: number;
}

export interface CodeCounts {
  /**
   * One turn of the hot loop, inner loops with all their turns. Null where nothing is repeated an
   * unknown number of times.
   */
  readonly turn: Counts | null;
  /** Everything else, as if all of it were executed once. */
  readonly rest: Counts;
}

const NONE: Counts = { instructions: 0, multiplyAdds: 0, vector: 0, paired: 0, workgroupBytes: 0, bufferBytes: 0 };
const IDLE = /^s_(nop|delay_alu|clause|wait|set_inst_prefetch|sendmsg|endpgm)/;
const MULTIPLY_ADD = /^v_(dual_)?(pk_)?(fma|mac_|mad_f|mad_mix)/;
/**
 * What is paired: in subgroups of 32 lanes what the compiler has put together, in those of 64 the
 * two halves of a multiply-add whose operands are f32.
 */
const isPaired = (name: string, subgroup: number) =>
  name.startsWith("v_dual_") || (subgroup === 64 && /^v_fma(c|ak|mk)_f32/.test(name));
/** Bytes by the end of the name of a memory instruction; gfx1201's listing has the older names. */
const WIDTHS: readonly (readonly [RegExp, number])[] = [
  [/2addr(_stride64)?_b64$|(read2|write2)(st64)?_b64$/, 16],
  [/2addr(_stride64)?_b32$|(read2|write2)(st64)?_b32$/, 8],
  [/(b128|x4)$/, 16],
  [/(b96|x3)$/, 12],
  [/(b64|x2)$/, 8],
  [/(u16|i16|b16|u8|i8|b8|ushort|short|ubyte)(_d16\w*)?$/, 2],
];
const widthOf = (name: string): number => WIDTHS.find(([pattern]) => pattern.test(name))?.[1] ?? 4;

function countOf({ name }: Instruction, subgroup: number): Counts {
  if (IDLE.test(name)) return NONE;
  const isVector = name.startsWith("v_");
  const isWorkgroup = /^ds_(load|store|read|write)/.test(name);
  const isBuffer = /^(buffer|global|flat)_(load|store|atomic)/.test(name);
  return {
    instructions: 1,
    multiplyAdds: MULTIPLY_ADD.test(name) ? (name.includes("_pk_") ? 2 : 1) : 0,
    vector: isVector ? 1 : 0,
    paired: isPaired(name, subgroup) ? 1 : 0,
    workgroupBytes: isWorkgroup ? widthOf(name) : 0,
    bufferBytes: isBuffer ? widthOf(name) : 0,
  };
}

const NAMES = Object.keys(NONE) as (keyof Counts)[];

/** a + k · b. */
const plus = (a: Counts, b: Counts, k = 1): Counts =>
  Object.fromEntries(NAMES.map((name) => [name, a[name] + k * b[name]])) as unknown as Counts;

const isIn = (i: number, { from, to }: Loop) => i >= from && i <= to;

/**
 * Counts of machine code for subgroups of so many lanes. The hot loop is the innermost one with an
 * unknown number of turns around the block with the most multiply-adds, or, of a kernel without,
 * around the block that moves most.
 */
export function countCode(text: string, subgroup: number): CodeCounts {
  const blocks = parseAssembly(text);
  const loops = findLoops(blocks);
  // As often as the loops around it turn, of those that are known to.
  const counts = blocks.map((block, i) => {
    const turns = loops.filter((loop) => isIn(i, loop)).reduce((n, loop) => n * (loop.turns ?? 1), 1);
    return sumOf(block, turns, subgroup);
  });
  const hot = hottest(counts, loops);
  const total = (wanted: (i: number) => boolean) =>
    counts.reduce((sum, each, i) => (wanted(i) ? plus(sum, each) : sum), NONE);
  return { turn: hot && total((i) => isIn(i, hot)), rest: total((i) => !hot || !isIn(i, hot)) };
}

const sumOf = ({ instructions }: CodeBlock, turns: number, subgroup: number): Counts =>
  instructions.reduce((sum, each) => plus(sum, countOf(each, subgroup), turns), NONE);

function hottest(counts: readonly Counts[], loops: readonly Loop[]): Loop | null {
  const unknown = loops.filter(({ turns }) => turns === null);
  const inLoops = counts.map((_, i) => i).filter((i) => unknown.some((loop) => isIn(i, loop)));
  const most = (name: "multiplyAdds" | "bufferBytes") =>
    inLoops.reduce((best, i) => ((counts[i]?.[name] ?? 0) > (counts[best]?.[name] ?? 0) ? i : best), -1);
  const products = most("multiplyAdds");
  const block = products >= 0 ? products : most("bufferBytes");
  const around = unknown.filter((loop) => block >= 0 && isIn(block, loop));
  return around.sort((a, b) => a.to - a.from - (b.to - b.from))[0] ?? null;
}
