import type { ProductCaps } from "../../src/gpu/kernel";

/** Abilities of a device with which batch norms take each of their forms. */
export const NORM_FORMS: Readonly<Record<string, Partial<ProductCaps>>> = {
  "in one launch": {},
  "in one launch by several columns": { adapter: "hardware", maxInvocations: 32 },
  "in two launches, columns in slices": { adapter: "hardware", maxInvocations: 4 },
  "in several launches": { maxStorageBuffers: 0 },
};
