/**
 * What `npm run bench` measures: kernels, the passport branch and a training step, one after the
 * other; or the one that is named first, with its own options
 * (`npm run bench -- schemes --arch resnet18`).
 */
import { ArgumentError, UnavailableError } from "@pan/core";

const BENCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  kernels: () => import("./kernels"),
  passport: () => import("./passport"),
  step: () => import("./step"),
  schemes: () => import("./schemes"),
  peers: () => import("./peers/index"),
  scale: () => import("./scale"),
  strangers: () => import("./strangers/index"),
  host: () => import("./host/index"),
  offline: () => import("./offline/index"),
  forgery: () => import("./forgery"),
  triggers: () => import("./triggers/index"),
  removal: () => import("./removal"),
  inference: () => import("./inference/index"),
};

const name = process.argv[2];
try {
  if (name === undefined) for (const each of ["kernels", "passport", "step", "host"]) await BENCHES[each]!();
  else {
    const bench = BENCHES[name];
    if (!bench) throw new ArgumentError(`one of ${Object.keys(BENCHES).join(", ")} expected, found "${name}"`);
    process.argv.splice(2, 1);
    await bench();
  }
} catch (error) {
  if (!(error instanceof ArgumentError || error instanceof UnavailableError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
