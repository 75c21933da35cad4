/**
 * Keeps two sentences of Dawn's off the terminal: on software adapters it warns, in each process,
 * that two limits were reduced, which means nothing to who runs a task. Native code writes to
 * descriptor 2 and cannot be told not to, so a task's descriptor 2 is a pipe that its parent reads
 * here, and where there is a terminal, the task's own `process.stderr` is descriptor 3: bars and
 * colours stay.
 */
import { isatty, WriteStream } from "node:tty";

const WARNING = "Warning: maxDynamic";
const WHOLE = /^Warning: maxDynamic\w+BuffersPerPipelineLayout artificially reduced .*limit\.$/;

/** What a child is spawned with: its `stdio`. */
export const quietStdio = ["inherit", "inherit", "pipe", process.stderr.isTTY ? process.stderr.fd : "ignore"];

/** Hands on what a child says on its error stream, those two sentences left out. */
export function passErrors(child, to = process.stderr) {
  let held = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (text) => {
    const lines = (held + text).split("\n");
    // A line that has only begun is written at once, unless it may become one of the two.
    const last = lines.pop();
    const waits = last !== "" && (last.startsWith(WARNING) || WARNING.startsWith(last));
    held = waits ? last : "";
    const kept = lines.filter((line) => !WHOLE.test(line)).map((line) => `${line}\n`);
    const now = kept.join("") + (waits ? "" : last);
    if (now) to.write(now);
  });
  child.stderr.on("end", () => {
    if (held && !WHOLE.test(held)) to.write(held);
  });
}

// In the task, loaded by --import.
if (process.env.PAN_QUIET === "1" && isatty(3)) {
  const stderr = new WriteStream(3);
  stderr.fd = 3;
  Object.defineProperty(process, "stderr", { configurable: true, get: () => stderr });
}
