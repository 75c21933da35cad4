/**
 * How well bound triggers are learnt, and what they cost: all settings of counts, triggers per
 * batch, grids of the images, margins and statistics of batch norm, on the quickstart's network.
 *
 *     npm run bench -- triggers [--counts 40,64] [--per 8,12] [--grids 4] [--margins none,2] [--statistics batch,clean] [--seeds 1] [--epochs 6] [--images 3000] [--out out/triggers]
 *
 * One line per setting: hits of the network that was given away, what a claim needs at
 * 2⁻⁸⁰ · 1e-6, their ratio, looks per trigger, test accuracy with and without triggers. Results are
 * kept in --out, so an interrupted run goes on where it stopped.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { init } from "@pan/core";
import { CIFAR_MEAN, CIFAR_STD, cifarTransform } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { bind, boundTriggers, matchThreshold, newSecret, triggersLike } from "@pan/core/ownership";
import { evaluate, Trainer } from "@pan/core/train";
import { numberIn, oneOf, parseOptions } from "../../examples/options";
import { CONFIG } from "../../examples/quickstart/settings";
import { loadSample } from "../strangers/train";

const HELP =
  "npm run bench -- triggers [--counts LIST] [--per LIST] [--grids LIST] [--seeds N] [--epochs N] [--images N] [--out DIR]    bound triggers, learnt and not";

const v = parseOptions(process.argv.slice(2), {
  texts: {
    counts: "40,64",
    per: "8,12",
    grids: "4",
    margins: "none",
    statistics: "batch",
    seeds: "1",
    epochs: "6",
    images: "3000",
    out: join("out", "triggers"),
  },
  switches: ["help"],
  help: HELP,
});

/** A training with triggers, or without. */
interface Setting {
  /** Triggers; 0 for none. */
  count: number;
  /** How many join each batch of 50. */
  per: number;
  grid: number;
  /** In logits; null for none. */
  margin: number | null;
  statistics: "batch" | "clean";
  seed: number;
}

/** What a training came to. */
interface Result extends Setting {
  hits: number;
  looks: number;
  public: number;
  private: number;
  bits: string;
  seconds: number;
}

const listOf = (name: string, text: string, most: number): number[] =>
  text.split(",").map((n) => numberIn(name, n, 1, most));

const BATCH = 50;

async function train(s: Setting, recipe: { epochs: number; images: number }): Promise<Result> {
  const { train: images, test } = await loadSample(recipe);
  const passports = Object.fromEntries(Object.keys(CONFIG.passports ?? {}).map((layer) => [layer, true]));
  const model = buildNetwork({ ...CONFIG, passports }, { seed: s.seed });
  const normalize = { mean: CIFAR_MEAN, std: CIFAR_STD };
  const triggers = triggersLike(images, { count: s.count || 1, groups: 1, grid: s.grid || 4, normalize });
  const claim = await bind(model, { statement: "bench", secret: newSecret(), ...(s.count && { triggers }) });
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4, nesterov: true });
  const trainer = new Trainer(model, optimizer, {
    batchSize: BATCH,
    seed: s.seed,
    transform: cifarTransform("train"),
    testTransform: cifarTransform("test"),
    schedule: cosineLR({ epochs: recipe.epochs, warmup: Math.min(1, recipe.epochs / 2) }),
    ...(s.count && {
      triggers: boundTriggers(claim, {
        batchSize: s.per,
        statistics: s.statistics,
        ...(s.margin !== null && { margin: s.margin }),
      }),
    }),
  });
  const started = performance.now();
  for await (const _ of trainer.fit(images, { epochs: recipe.epochs })) {
    // Measured once, at the end.
  }
  const seconds = (performance.now() - started) / 1000;
  const accuracy = await evaluate(model, test, { transform: cifarTransform("test") });
  let share = 0;
  if (s.count) {
    const { set, transform } = boundTriggers(claim);
    share = (await evaluate(model, set, { transform, branches: ["public"] })).public!;
  }
  const signs = await model.readSigns();
  const matched = signs.reduce((n, l) => n + l.matched, 0);
  const bits = signs.reduce((n, l) => n + l.bits.length, 0);
  model.dispose();
  optimizer.dispose();
  const steps = recipe.epochs * Math.floor(recipe.images / BATCH);
  return {
    ...s,
    hits: Math.round(share * s.count),
    looks: s.count ? (steps * Math.min(s.per, s.count)) / s.count : 0,
    public: accuracy.public!,
    private: accuracy.private!,
    bits: `${matched}/${bits}`,
    seconds,
  };
}

async function main(): Promise<void> {
  const recipe = { epochs: numberIn("epochs", v.epochs, 1, 1000), images: numberIn("images", v.images, 50, 3000) };
  const seeds = numberIn("seeds", v.seeds, 1, 100);
  const settings: Setting[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    settings.push({ count: 0, per: 0, grid: 0, margin: null, statistics: "batch", seed });
    for (const count of listOf("counts", v.counts, 1000))
      for (const per of listOf("per", v.per, BATCH))
        for (const grid of listOf("grids", v.grids, 32))
          for (const margin of v.margins.split(",").map((m) => (m === "none" ? null : numberIn("margins", m, 0, 100))))
            for (const statistics of v.statistics
              .split(",")
              .map((s) => oneOf("statistics", s, ["batch", "clean"] as const)))
              settings.push({ count, per, grid, margin, statistics, seed });
  }
  await init({ gpu: await dawn() });
  await mkdir(v.out, { recursive: true });
  const path = join(v.out, `${recipe.epochs}x${recipe.images}.json`);
  const known: Result[] = existsSync(path) ? (JSON.parse(await readFile(path, "utf8")) as Result[]) : [];
  console.log(
    "triggers per batch grid margin statistics seed   hits needed ratio looks   public private    bits  seconds",
  );
  for (const s of settings) {
    const same = (r: Setting) => Object.entries(s).every(([name, value]) => r[name as keyof Setting] === value);
    let result = known.find(same);
    if (!result) {
      result = await train(s, recipe);
      known.push(result);
      await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(known, null, 1)));
    }
    const needed = s.count ? matchThreshold(s.count, 1e-6 / 2 ** 80, 1 / CONFIG.classes) : 0;
    const columns = [
      [String(s.count), 8],
      [String(s.per), 10],
      [String(s.grid), 5],
      [s.count ? String(s.margin ?? "none") : "-", 7],
      [s.count ? s.statistics : "-", 11],
      [String(s.seed), 5],
      [String(result.hits), 7],
      [String(needed), 7],
      [s.count ? (result.hits / needed).toFixed(2) : "-", 6],
      [result.looks.toFixed(0), 6],
      [(100 * result.public).toFixed(1), 9],
      [(100 * result.private).toFixed(1), 8],
      [result.bits, 8],
      [result.seconds.toFixed(0), 9],
    ] as const;
    console.log(columns.map(([text, width]) => text.padStart(width)).join(""));
  }
}

if (v.help) console.log(HELP);
else await main();
