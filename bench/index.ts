/**
 * What `npm run bench` measures: kernels, the passport branch and a training step, one after the
 * other; or the one that is named first, with its own options
 * (`npm run bench -- schemes --arch resnet18`).
 */
import { ArgumentError, UnavailableError } from "@pan/core";
import { BENCHES } from "./benches";
import { HelpWanted } from "./options";

const HELP = `npm run bench -- [NAME [options]]      kernels, passport, step and host; or the one that is named, of
  ${Object.keys(BENCHES).join(", ")}
  --help after a name lists its options`;

const name = process.argv[2];
try {
  if (name === "--help" || name === "-h") throw new HelpWanted(HELP);
  if (name === undefined) for (const each of ["kernels", "passport", "step", "host"]) await BENCHES[each]!();
  else {
    const bench = Object.hasOwn(BENCHES, name) && BENCHES[name];
    if (!bench) throw new ArgumentError(`one of ${Object.keys(BENCHES).join(", ")} expected, found "${name}"`);
    process.argv.splice(2, 1);
    await bench();
  }
} catch (error) {
  if (error instanceof HelpWanted) {
    console.log(error.message);
    process.exit();
  }
  if (!(error instanceof ArgumentError || error instanceof UnavailableError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
