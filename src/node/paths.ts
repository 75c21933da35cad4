/**
 * What the readers of data sets share: folders and files, and the errors when they are not there.
 */
import { access, readFile } from "node:fs/promises";
import { ArgumentError, FormatError } from "../errors";
import { shown } from "../io/shown";

/** @throws ArgumentError if `directory` is not the path of a folder in words */
export function checkDirectory(loader: string, directory: unknown): void {
  if (typeof directory === "string" && directory !== "" && !directory.includes("\0")) return;
  throw new ArgumentError(`${loader}: expected the path of a folder as a text, got ${shown(directory)}`);
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** @param what the data set, for the message */
export const readBytes = (what: string, file: string): Promise<Uint8Array> =>
  readFile(file).catch((cause) => Promise.reject(unreadable(what, file, cause)));

/** As {@link readBytes}; the bytes are UTF-8. */
export const readText = (what: string, file: string): Promise<string> =>
  readFile(file, "utf8").catch((cause) => Promise.reject(unreadable(what, file, cause)));

export function unreadable(what: string, path: string, cause: unknown): FormatError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FormatError(`${what}: cannot read ${path}: ${why}; unpack the whole archive`, { cause });
}
