/** What examples write besides tensors: text and JSON, whole or not at all. */
import { writeFileAtomic } from "@pan/core/node";

/** Writes text that anyone may read. */
export const saveText = (path: string, text: string): Promise<void> =>
  writeFileAtomic(path, new TextEncoder().encode(text));

/** Writes text that is its owner's alone: secrets, and what tells of γ or signature bits. */
export const savePrivate = (path: string, text: string): Promise<void> =>
  writeFileAtomic(path, new TextEncoder().encode(text), { mode: 0o600 });

/** As records are kept. */
export const json = (value: unknown): string => JSON.stringify(value, null, 1);
