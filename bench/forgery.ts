/**
 * `npm run bench -- forgery`: milliseconds that a bound claim takes to be forged, and bits that the
 * forger's copy matches, on a network of the quickstart's size. The median of seven secrets, after
 * one that warms up.
 */
import { CONFIG } from "../examples/quickstart/settings";
import { buildNetwork, forgeBoundClaim, init } from "../src/index";
import { dawn } from "../src/node/index";
import { median } from "./median";

await init({ gpu: await dawn() });
const model = buildNetwork(CONFIG, { seed: 1 });
const deployed = await model.deployed();
model.dispose();
const passports = { 2: true, 4: true };
console.log("means         milliseconds   bits matched");
for (const means of ["none", "negation", "permutation", "inputScaling", "all"] as const) {
  const made = [];
  for (let seed = 0; seed < 8; seed++)
    made.push(await forgeBoundClaim(deployed, { ...CONFIG, passports }, { means, seed }));
  const timed = made.slice(1);
  const [milliseconds, matched] = [median(timed.map((f) => f.milliseconds)), median(timed.map((f) => f.matched))];
  console.log(`${means.padEnd(14)}${milliseconds.toFixed(0).padStart(12)}   ${matched} of ${made[0]!.bits}`);
}
