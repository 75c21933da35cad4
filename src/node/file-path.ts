/** Paths of files as callers give them, and what is found there. */
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/** The system's code of an error; undefined where it has none. */
export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? String(error.code) : undefined;

/** A path as text. @throws ArgumentError for what is none. */
export function pathOf(path: unknown, what: string): string {
  if (path instanceof URL && path.protocol === "file:") return fileURLToPath(path);
  if (typeof path !== "string" || path === "" || path.includes("\0"))
    throw new ArgumentError(`${what}: the path of a file expected, found ${shown(path)}`);
  return path;
}

interface Kind {
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

export const kindOf = (found: Kind): string =>
  found.isDirectory() ? "a folder" : found.isFIFO() ? "a named pipe" : found.isSocket() ? "a socket" : "a device";
