/**
 * Kernels that take several tensors in one dispatch, a slot each: slot k has bindings and sizes of
 * its own, whose names end in k.
 */

/** Past so many slots of one size each those no longer fit into immediates. */
export const MOST_SLOTS = 12;

export const READ = { access: "read", type: "vec4f" } as const;
export const WRITE = { access: "write", type: "vec4f" } as const;

const slotsOf = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/** What every slot has: `name0`, `name1`, … */
export const each = <T>(count: number, name: string, value: T): Record<string, T> =>
  Object.fromEntries(slotsOf(count).map((k) => [name + k, value]));

/** WGSL: one line a slot. */
export const perSlot = (count: number, line: (slot: number) => string): string => slotsOf(count).map(line).join("\n");

/** WGSL: where slot `k` begins; `p.end0 …` are running totals. */
export const startOf = (k: number): string => (k === 0 ? "0u" : `p.end${k - 1}`);

/**
 * WGSL: `body(k)` for the slot k that number `index` falls into, `i` being its number within the
 * slot.
 */
export const inItsSlot = (count: number, body: (slot: number) => string): string =>
  slotsOf(count)
    .map((k) => `if (index < p.end${k}) { let i = index - ${startOf(k)}; ${body(k)} }`)
    .join("\n  else ");
