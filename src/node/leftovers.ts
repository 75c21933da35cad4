/**
 * Temporary files of writers that were killed. A temporary file says in its name who writes it: the
 * machine (its boot and process namespace), the process, and when that process began. Whoever saves
 * the same target next removes those whose writer is surely gone, and no others:
 *
 *     .TARGET.ORIGIN-PID-START.UUID.tmp
 *
 * On the writer's own machine, gone is: no such process, a dead one, or another that got its number
 * later. What other machines (or earlier boots, or earlier versions) left, nobody can ask for; it
 * is removed when nothing has been written to it for a day.
 */
import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

const DAY = 24 * 60 * 60 * 1000;
/**
 * Characters of the target's name: with the rest at most 250 bytes, whatever the script; 255 is the
 * usual limit.
 */
const MOST = 40;
const REST = /^(?:([0-9a-f]{8})-(\d+)-(\d+)\.)?[0-9a-f-]{36}\.tmp$/;

const prefixOf = (target: string): string => `.${[...target].slice(0, MOST).join("")}.`;
/** As versions without an origin in the name cut it. */
const formerPrefixOf = (target: string): string => `.${target.slice(0, 50)}.`;

/**
 * State and start of a process, in the kernel's ticks since boot; undefined where the system does
 * not tell.
 */
async function processStatus(pid: number | "self"): Promise<{ state: string; start: string } | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The second field is the program's name in brackets, which may hold brackets and spaces itself.
  const fields = line?.slice(line.lastIndexOf(")") + 2).split(" ");
  return fields && { state: fields[0]!, start: fields[19]! };
}

/** This boot and process namespace: only within it do process numbers mean the same. */
async function findOrigin(): Promise<string> {
  const parts = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ]);
  return createHash("sha256")
    .update([hostname(), ...parts].join("\n"))
    .digest("hex")
    .slice(0, 8);
}

let origin: Promise<string> | undefined;
let start: Promise<string> | undefined;

/** A name for a temporary file beside the target that no other writer has. */
export async function temporaryName(target: string): Promise<string> {
  origin ??= findOrigin();
  start ??= processStatus("self").then((own) => own?.start ?? "0");
  return `${prefixOf(target)}${await origin}-${process.pid}-${await start}.${randomUUID()}.tmp`;
}

async function isGone(pid: number, started: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and is another user's.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  const status = await processStatus(pid);
  return status !== undefined && (status.state === "Z" || status.state === "X" || status.start !== started);
}

/**
 * Removes what killed writers of a target left in its folder. Never fails: leftovers take space and
 * do no other harm.
 */
export async function removeLeftovers(folder: string, target: string): Promise<void> {
  const here = await (origin ??= findOrigin());
  const prefixes = [prefixOf(target), formerPrefixOf(target)];
  for (const name of await readdir(folder).catch(() => [])) {
    const prefix = prefixes.find((p) => name.startsWith(p));
    const match = prefix === undefined ? null : REST.exec(name.slice(prefix.length));
    if (!match) continue;
    const [, from, pid, started] = match;
    const path = join(folder, name);
    const untouched = async () =>
      Date.now() -
      (await stat(path)
        .catch(() => null)
        .then((s) => s?.mtimeMs ?? Date.now()));
    const gone = from === here ? await isGone(Number(pid), started!) : (await untouched()) > DAY;
    if (gone) await rm(path, { force: true }).catch(() => {});
  }
}
