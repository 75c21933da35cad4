import { stat } from "node:fs/promises";
import { readText } from "./files";
import { word } from "./shell";
import type { Terminal } from "./terminal";

/** A private key's text; whoever else can read the file is warned of. */
export async function readKey(path: string, terminal: Terminal): Promise<string> {
  const text = await readText(path);
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    terminal.warn(
      `${path}: others may read this private key (mode ${(mode & 0o777).toString(8)}): chmod 600 ${word(path)}`,
    );
  return text;
}
