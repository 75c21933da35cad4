/**
 * Machine code of AMD's processors as Mesa prints it: text of a disassembler, or, for cards that
 * its disassembler does not know yet, the compiler's own last listing.
 */

/** One instruction: what it does, and its operands without the compiler's names of values. */
export interface Instruction {
  readonly name: string;
  /** Registers (`s6`, `v[23:26]`), constants and labels; what is written comes first. */
  readonly operands: readonly string[];
}

/** Instructions that are run one after another; entered at the top, left at the end. */
export interface CodeBlock {
  readonly label: string;
  readonly instructions: readonly Instruction[];
}

const HEAD = /^(BB\d+):?$/;
const DISASSEMBLED = /^\t\s?([a-z]\w*)\s*(.*?)\s*(?:;.*)?$/;
/** `s1: %896:s[6],  s1: %1372:scc = s_add_u32 %578:s[6], 1` */
const LISTED = /^\t(?:\s(.*?) = )?\s*([vs]_\w+|ds_\w+|[a-z]+_(?:load|store|atomic)\w*)\s*(.*)$/;

/** `%578:s[6]` → `s6`, `block:BB68` → `BB68`, `v[4-7]` → `v[4:7]`. */
const plain = (operand: string): string =>
  operand
    .trim()
    .replace(/^.*[%:](?=[a-z]+\[?\d|[a-z]+$|BB)/, "")
    .replace(/\[(\d+)\]/, "$1")
    .replace("-", operand.includes("[") ? ":" : "-");

const operandsOf = (text: string): string[] => text.split(",").map(plain).filter(Boolean);

function instruction(line: string, isListing: boolean): Instruction | null {
  if (!isListing) {
    const found = DISASSEMBLED.exec(line);
    return found && { name: found[1]!, operands: operandsOf(found[2]!) };
  }
  const found = LISTED.exec(line);
  if (!found) return null;
  // The condition bit is written beside the value, and named nowhere in a disassembly.
  const written = operandsOf((found[1] ?? "").replace(/[sv]\d+:/g, "")).filter((name) => name !== "scc");
  return { name: found[2]!, operands: [...written, ...operandsOf(found[3]!)] };
}

/** The blocks in the order they lie in. */
export function parseAssembly(text: string): CodeBlock[] {
  const isListing = text.includes("/* logical preds:");
  const blocks: { label: string; instructions: Instruction[] }[] = [];
  for (const line of text.split("\n")) {
    const head = HEAD.exec(line);
    if (head) {
      blocks.push({ label: head[1]!, instructions: [] });
      continue;
    }
    // A pair that is issued at once is two instructions.
    for (const half of line.split(" :: ")) {
      const found = instruction(half.startsWith("\t") ? half : `\t ${half}`, isListing);
      if (found) blocks.at(-1)?.instructions.push(found);
    }
  }
  return blocks;
}
