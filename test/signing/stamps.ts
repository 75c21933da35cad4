/** The files that `test/fixtures/timestamps/make.sh` made. */
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../fixtures/timestamps/", import.meta.url);
/** A file's bytes, in memory of their own. */
export const bytesAt = (name: string): Uint8Array<ArrayBuffer> => Uint8Array.from(readFileSync(new URL(name, folder)));
export const textAt = (name: string): string => readFileSync(new URL(name, folder), "utf8");
export const namesOf = (pattern: RegExp): string[] => readdirSync(folder).filter((name) => pattern.test(name));
export const message = bytesAt("message.txt");
export const root = textAt("root.pem");
