/**
 * What `relation` finds between networks that have nothing in common but data and recipe.
 *
 *     npm run bench -- strangers [--networks 30] [--epochs 2] [--images 1200] [--out out/strangers] [--figure docs/strangers.svg]
 *
 * Trains small networks from other initial weights, half of them on the same order of images, and
 * compares all pairs. Networks are kept in --out, so an interrupted run goes on where it stopped.
 * Writes strangers.json and strangers.svg there, and the figure where --figure says.
 */
import { join } from "node:path";
import { init } from "@pan/core";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { type RelationEvidence, relation } from "@pan/core/ownership";
import { numberIn } from "../../examples/options";
import { drawStrangers, type StrangersRecord } from "../../report/src/index";
import { channelsOfFile } from "../../src/models/channels";
import { fixedPointsLaw, fixedPointsThreshold } from "../../src/ownership/relation/fixed-points";
import { benchOptions } from "../options";
import { loadSample, type Stranger, stranger } from "./train";

const HELP =
  "npm run bench -- strangers [--networks N] [--epochs N] [--images N] [--out DIR] [--figure FILE]    unrelated networks, compared";
const RATES = [1e-1, 1e-2, 1e-3, 1e-6];

const v = benchOptions(
  { networks: "30", epochs: "2", images: "1200", out: join("out", "strangers"), figure: "" },
  HELP,
);

async function main(): Promise<void> {
  const networks = numberIn("networks", v.networks, 2, 1000);
  const recipe = { epochs: numberIn("epochs", v.epochs, 1, 1000), images: numberIn("images", v.images, 50, 3000) };
  const device = await init({ gpu: await dawn() });
  const data = await loadSample(recipe);
  const trained: Stranger[] = [];
  for (let i = 0; i < networks; i++) {
    trained.push(await stranger(i, recipe, v.out, data));
    console.log(`network ${i + 1} of ${networks}: accuracy ${(100 * trained[i]!.accuracy).toFixed(1)} %`);
  }
  const { channels } = channelsOfFile("strangers", trained[0]!.file);
  const found: RelationEvidence[] = [];
  for (const [i, { file }] of trained.entries())
    for (const other of trained.slice(0, i)) found.push(relation(file, other.file, { channels: { channels } }));
  const record = describe(device.name, recipe, trained, found);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const svg = drawStrangers(record);
  await writeFileAtomic(join(v.out, "strangers.json"), bytes(JSON.stringify(record, null, 1)));
  await writeFileAtomic(join(v.out, "strangers.svg"), bytes(svg));
  if (v.figure) await writeFileAtomic(v.figure, bytes(svg));
  for (const l of record.layers)
    console.log(
      `${l.name}: of ${l.channels} channels ${l.coincidences.toFixed(3)} agree on the mean, ${l.agreements.toFixed(3)} beyond doubt`,
    );
  for (const r of record.rates)
    console.log(
      `${r.needed} or more, expected in ${(r.rate * record.pairs).toPrecision(2)} of ${record.pairs} pairs at most: ${r.coincidences} agree so, ${r.agreements} beyond doubt`,
    );
  console.log(`most: ${record.coincidences.length - 1} agree, ${record.agreements.length - 1} beyond doubt`);
  console.log(`written ${join(v.out, "strangers.json")} and .svg`);
}

/** How many pairs have each count. */
function countsOf(values: readonly number[]): number[] {
  const counts = new Array<number>(Math.max(...values) + 1).fill(0);
  for (const value of values) counts[value]!++;
  return counts;
}

function describe(
  adapter: string,
  recipe: { epochs: number; images: number },
  trained: readonly Stranger[],
  found: readonly RelationEvidence[],
): StrangersRecord {
  const { layers } = found[0]!;
  const pairs = found.length;
  const coincidences = found.map((f) => f.layers.reduce((sum, l) => sum + l.coincidences, 0));
  const agreements = found.map((f) => f.agreements);
  const mean = (layer: number, what: "coincidences" | "agreements") =>
    found.reduce((sum, f) => sum + f.layers[layer]![what], 0) / pairs;
  const accuracies = trained.map((t) => t.accuracy);
  return {
    adapter,
    networks: trained.length,
    ...recipe,
    accuracy: [Math.min(...accuracies), Math.max(...accuracies)],
    pairs,
    layers: layers.map(({ name, channels }, i) => ({
      name,
      channels,
      coincidences: mean(i, "coincidences"),
      agreements: mean(i, "agreements"),
    })),
    coincidences: countsOf(coincidences),
    agreements: countsOf(agreements),
    expected: [...fixedPointsLaw(layers)].map((p) => p * pairs).filter((n) => n > 1e-6),
    rates: RATES.map((rate) => {
      const needed = fixedPointsThreshold(layers, rate);
      const reach = (counts: readonly number[]) => counts.filter((n) => n >= needed).length;
      return { rate, needed, coincidences: reach(coincidences), agreements: reach(agreements) };
    }),
  };
}

await main();
