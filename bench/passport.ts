/**
 * What a passport branch costs: γ and β of one layer and their weight gradient, in closed form and
 * by convolving the passports, as the papers' code does.
 *
 *     npm run bench            prints a table, writes out/bench/passport.json (and runs the others)
 *
 * Medians of interleaved rounds after a warm-up round, GPU waited for. Both forms give the same
 * numbers: test/passport/branch.test.ts.
 */
import { mkdir } from "node:fs/promises";
import { concat, Generator, init, mean, scope, sum, Tensor } from "@pan/core";
import { conv2d } from "@pan/core/nn";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { passportGammaBeta, passportMeans } from "../src/passport/closed-form";
import { median } from "./median";
import { benchOptions } from "./options";

benchOptions({}, "npm run bench -- passport    what a passport branch costs");

const ROUNDS = 9;
const device = await init({ gpu: await dawn() });

const random = (shape: number[], seed: number) =>
  Tensor.from(new Generator(seed).fill(new Float32Array(shape.reduce((n, d) => n * d, 1)), "uniform", -1, 1), shape);

/** Layers of AlexNet in the papers' CIFAR form: input size, input and output channels. */
const LAYERS = [
  ["layer 4", 8, 192, 384],
  ["layer 6", 8, 256, 256],
] as const;

interface Row {
  layer: string;
  form: "closed" | "direct";
  run: () => void;
  milliseconds: number[];
}

function rows([layer, size, i, o]: (typeof LAYERS)[number]): Row[] {
  const [gamma, beta] = [random([1, size, size, i], 1), random([1, size, size, i], 2)];
  const weight = random([3, 3, i, o], 3);
  weight.requiresGrad = true;
  const both = concat([gamma, beta], 0);
  // The means belong to the passports and are made once, when those are set.
  const means = passportMeans(gamma, beta, weight, { padding: 1 });
  const step = (scales: () => Tensor) => () =>
    scope(() => {
      weight.zeroGrad();
      sum(scales()).backward();
    });
  const direct = () => mean(conv2d(both, weight, null, { padding: 1 }), [1, 2]);
  return [
    { layer, form: "closed", run: step(() => passportGammaBeta(means, weight)), milliseconds: [] },
    { layer, form: "direct", run: step(direct), milliseconds: [] },
  ];
}

const table = LAYERS.flatMap(rows);
for (let round = 0; round <= ROUNDS; round++) {
  for (const row of table) {
    const started = performance.now();
    row.run();
    await device.sync();
    if (round > 0) row.milliseconds.push(performance.now() - started);
  }
}

console.log(`\n${device.name}: γ and β of a passport layer and their weight gradient, median of ${ROUNDS}`);
const results = LAYERS.map(([layer, size, i, o]) => {
  const ms = (form: Row["form"]) => median(table.find((r) => r.layer === layer && r.form === form)!.milliseconds);
  const [closed, direct] = [ms("closed"), ms("direct")];
  console.log(
    `${`${layer}, ${i}→${o}, ${size}×${size}`.padEnd(28)} closed ${closed.toFixed(1).padStart(7)} ms   direct ${direct.toFixed(1).padStart(7)} ms   ${(direct / closed).toFixed(1)} times`,
  );
  return { layer, closed, direct };
});
await mkdir("out/bench", { recursive: true });
const record = { adapter: device.name, rounds: ROUNDS, results };
await writeFileAtomic("out/bench/passport.json", new TextEncoder().encode(JSON.stringify(record, null, 1)));
