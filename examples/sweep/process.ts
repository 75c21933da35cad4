/** Whether a process that somebody wrote down is there still, as far as this machine can tell. */
import { createHash } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";

/** A process, and when it began: numbers are given anew. */
export interface ProcessMark {
  pid: number;
  /** In the kernel's ticks since boot; empty where the system does not tell. */
  start: string;
}

/**
 * This boot and process namespace: only within it do process numbers mean the same. Containers of
 * one machine differ, and so do two boots.
 */
export async function origin(): Promise<string> {
  const parts = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ]);
  return createHash("sha256")
    .update([hostname(), ...parts].join("\n"))
    .digest("hex")
    .slice(0, 16);
}

/** State and start of a process; null where there is none, or the system does not tell. */
async function statusOf(pid: number): Promise<{ state: string; start: string } | null> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  // The second field is the program's name in brackets, which may hold brackets and spaces itself.
  const fields = line?.slice(line.lastIndexOf(")") + 2).split(" ");
  return fields ? { state: fields[0]!, start: fields[19]! } : null;
}

export const markOf = async (pid: number): Promise<ProcessMark> => ({
  pid,
  start: (await statusOf(pid))?.start ?? "",
});

/**
 * Whether a process of this origin is surely gone: none, a dead one, or a later one of its number.
 */
export async function isGone({ pid, start }: ProcessMark): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and is another user's.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  const status = await statusOf(pid);
  return status !== null && (["Z", "X"].includes(status.state) || (start !== "" && status.start !== start));
}
