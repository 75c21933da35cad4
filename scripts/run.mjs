/**
 * Runs a named task in a prepared clone: `node scripts/run.mjs quickstart [arguments]`,
 * `node scripts/run.mjs test [arguments]`. Sets the clone up first, hands the arguments on, and
 * ends as the task ends.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { join } from "node:path";
import { passErrors, quietStdio } from "./quiet.mjs";
import { projectRoot } from "./setup.mjs";

const tasks = {
  quickstart: ["--import", "tsx", join("examples", "quickstart.ts")],
  cifar10: ["--import", "tsx", join("examples", "cifar10.ts")],
  modelnet40: ["--import", "tsx", join("examples", "modelnet40.ts")],
  photos: ["--import", "tsx", join("examples", "photos.ts")],
  attacks: ["--import", "tsx", join("examples", "attacks.ts")],
  pretrained: ["--import", "tsx", join("examples", "pretrained.ts")],
  sweep: ["--import", "tsx", join("examples", "sweep.ts")],
  "own-network": ["--import", "tsx", join("examples", "own-network.ts")],
  mobilenet: ["--import", "tsx", join("examples", "mobilenet.ts")],
  vit: ["--import", "tsx", join("examples", "vit.ts")],
  unet: ["--import", "tsx", join("examples", "unet.ts")],
  gpt: ["--import", "tsx", join("examples", "gpt.ts")],
  demo: ["--import", "tsx", join("web", "demo.ts")],
  bench: ["--import", "tsx", join("bench", "index.ts")],
  torture: ["--import", "tsx", join("torture", "index.ts")],
  docs: [join("scripts", "docs.mjs")],
  test: [join("node_modules", "vitest", "vitest.mjs"), "run"],
};

const [name = "", ...given] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  console.error(
    `Expected one of ${Object.keys(tasks).join(", ")}; got ${name === "" ? "nothing" : JSON.stringify(name)}.`,
  );
  console.error(`Usage: node scripts/run.mjs ${Object.keys(tasks).join("|")} [arguments]`);
  process.exit(2);
}

/** Tasks without options: whatever they were given would be ignored in silence. */
const bare = ["own-network", "mobilenet", "vit", "unet", "gpt", "demo", "docs"];
if (bare.includes(name) && given.length > 0) {
  const asks = given.every((each) => each === "--help" || each === "-h");
  console.error(`npm run ${name} takes no options${asks ? "" : `; got ${JSON.stringify(given.join(" "))}`}.`);
  process.exit(asks ? 0 : 2);
}

/**
 * Starts a script of this clone's. Vitest prints from processes of its own: it has the streams as
 * they are.
 */
function start(args, isQuiet = true) {
  const quiet = new URL("quiet.mjs", import.meta.url).href;
  const child = spawn(process.execPath, [...(isQuiet ? ["--import", quiet] : []), ...args], {
    cwd: projectRoot,
    stdio: isQuiet ? quietStdio : "inherit",
    env: { ...process.env, ...(isQuiet && { PAN_QUIET: "1" }) },
  });
  if (isQuiet) passErrors(child);
  return child;
}

const setup = start([join("scripts", "setup.mjs")]);
const [status] = await once(setup, "close");
if (status !== 0) process.exit(status ?? 1);

const child = start([...tasks[name], ...given], name !== "test");

// A terminal sends Ctrl-C and its own closing to the whole foreground group: the task has the
// signal already, and a second one would make it give up its orderly end. Everywhere else the
// signal reached this process alone.
const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => terminal || child.kill(signal));
process.on("SIGTERM", () => child.kill("SIGTERM"));

child.on("error", (error) => {
  console.error(`${name} could not be started: ${error.message}`);
  process.exitCode = 1;
});
child.on("close", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
