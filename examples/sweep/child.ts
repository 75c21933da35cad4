/** The program of a task, as a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { PROGRAMS, type ProgramName } from "./programs";

/** How a program ended: its exit code, or the signal that ended it. */
export interface Ended {
  code: number | null;
  signal: string | null;
}

/** A program that runs. */
export interface Running {
  pid: number;
  ended: Promise<Ended>;
  /** Asks it to end with a checkpoint. */
  stop(): void;
}

/** Starts a program; tests hand in one that computes nothing. */
export type Launch = (program: ProgramName, args: readonly string[]) => Promise<Running>;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Starts an example of this clone, in the clone's folder as `npm run` does. */
export const launch: Launch = async (program, args) => {
  const { PAN_QUIET: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAMS[program].script, ...args], {
    cwd: ROOT,
    stdio: "inherit",
    env,
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }) as Ended);
  await once(child, "spawn");
  return { pid: child.pid!, ended, stop: () => void child.kill("SIGTERM") };
};
