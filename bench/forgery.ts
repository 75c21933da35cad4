/**
 * `npm run bench -- forgery`: milliseconds that a bound claim takes to be forged, and bits that the
 * forger's copy matches, on a network of the quickstart's size. Median and least of fifteen
 * secrets, after one that warms up.
 */

import { init } from "@pan/core";
import { forgeBoundClaim } from "@pan/core/attacks";
import { buildNetwork } from "@pan/core/models";
import { dawn } from "@pan/core/node";
import { CONFIG } from "../examples/quickstart/settings";
import { median } from "./median";

await init({ gpu: await dawn() });
const model = buildNetwork(CONFIG, { seed: 1 });
const deployed = await model.deployed();
model.dispose();
const passports = Object.fromEntries(Object.keys(CONFIG.passports ?? {}).map((layer) => [layer, true]));
console.log("means         milliseconds   least   bits matched");
for (const means of ["none", "negation", "permutation", "inputScaling", "all"] as const) {
  const made = [];
  for (let seed = 0; seed < 16; seed++)
    made.push(await forgeBoundClaim(deployed, { ...CONFIG, passports }, { means, seed, version: 1 }));
  const timed = made.slice(1).map((f) => f.milliseconds);
  const [middle, least] = [median(timed), Math.min(...timed)].map((ms) => ms.toFixed(0));
  const matched = median(made.slice(1).map((f) => f.matched));
  console.log(`${means.padEnd(14)}${middle!.padStart(12)}${least!.padStart(8)}   ${matched} of ${made[0]!.bits}`);
}
