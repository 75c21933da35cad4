/** Small JSON files that several processes read and write: whole or not at all, never half. */
import { readFile } from "node:fs/promises";
import { FormatError } from "@pan/core";
import { json, saveText } from "../files";

/**
 * What a file holds; null where there is none.
 * @throws FormatError when it is not JSON.
 */
export async function readJson<T>(path: string): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw new FormatError(`${path} could not be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new FormatError(`${path}: JSON expected, and it is none: ${(cause as Error).message}`, { cause });
  }
}

export const writeJson = (path: string, value: unknown): Promise<void> => saveText(path, `${json(value)}\n`);
