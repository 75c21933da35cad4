/**
 * A process of `kills`: kills-child.ts FOLDER EPOCHS CALL. It kills itself before the CALLth
 * file-system call after its first saves, in the middle of it where it writes; 0 never.
 */
import { writeSync } from "node:fs";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { init } from "@pan/core";
import { dawn, fileCheckpoints, saveSafetensors } from "@pan/core/node";
import { CHECKPOINT, DEPLOYED, trainingRun } from "./kills-run";

const [folder, epochs, call] = process.argv.slice(2) as [string, string, string];
/** Said at once, whatever happens next. */
const say = (line: string) => void writeSync(1, `${line}\n`);

let countdown = Number.POSITIVE_INFINITY;

function die(where: string): never {
  say(`killed ${where}`);
  process.kill(process.pid, "SIGKILL");
  throw new Error("killed");
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** Puts the countdown before a file-system call. */
function mine(holder: Record<string, unknown>, name: string): void {
  const call = holder[name] as Call;
  holder[name] = async function (this: unknown, ...args: unknown[]) {
    if (--countdown > 0) return call.apply(this, args);
    const [data] = args;
    if (!/^write/.test(name) || !ArrayBuffer.isView(data)) die(`before ${name}`);
    await call.apply(this, [new Uint8Array(data.buffer, data.byteOffset, data.byteLength >> 1), ...args.slice(1)]);
    return die(`within ${name}`);
  };
}

const probe = await fs.open(process.execPath, "r");
const handles = Object.getPrototypeOf(probe) as Record<string, unknown>;
await probe.close();
for (const name of ["open", "rename", "link", "unlink", "rm", "readdir", "stat", "realpath"])
  mine(fs as unknown as Record<string, unknown>, name);
for (const name of ["write", "writeFile", "writev", "sync", "datasync", "chmod", "close"]) mine(handles, name);
syncBuiltinESMExports();

await init({ gpu: await dawn() });
const files = fileCheckpoints(join(folder, CHECKPOINT));
const store = {
  load: () => files.load(),
  async save(bytes: Uint8Array) {
    say("saving");
    await files.save(bytes);
  },
};
for await (const { epoch, deployed } of trainingRun(store, Number(epochs))) {
  await saveSafetensors(join(folder, DEPLOYED), deployed, { epoch: String(epoch) });
  say(`saved ${epoch}`);
  say("trained");
  if (countdown !== Number.POSITIVE_INFINITY) continue;
  say("ready");
  countdown = Number(call) || Number.MAX_SAFE_INTEGER;
}
process.exit();
