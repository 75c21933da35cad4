/**
 * How well bound triggers are learnt, and what they cost: all settings of networks, counts,
 * triggers per batch, grids of the images, margins and statistics of batch norm.
 *
 *     npm run bench -- triggers [--networks quickstart,alexnet,resnet9,vit,pointnet] [--counts 40,64] [--per 8,12] [--grids 4] [--margins none,2] [--statistics batch,clean] [--perturbations 0,0.02] [--seeds 1] [--epochs N] [--images 3000] [--out out/triggers]
 *
 * One line per setting: hits of the network that was given away, what a claim needs at
 * 2⁻⁸⁰ · 1e-6, their ratio, looks per trigger, test accuracy with and without triggers. Results are
 * kept in --out, so an interrupted run goes on where it stopped.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { init } from "@pan/core";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { bind, boundTriggers, matchThreshold, newSecret, triggersLike } from "@pan/core/ownership";
import { evaluate, Trainer } from "@pan/core/train";
import { numberIn, oneOf } from "../../examples/options";
import { benchOptions } from "../options";
import { LEARNERS } from "./networks";

const HELP =
  "npm run bench -- triggers [--networks LIST] [--counts LIST] [--per LIST] [--grids LIST] [--seeds LIST] [--epochs N] [--images N] [--out DIR]    bound triggers, learnt and not";

const v = benchOptions(
  {
    networks: "quickstart",
    counts: "40,64",
    per: "8,12",
    grids: "4",
    margins: "none",
    statistics: "batch",
    perturbations: "0",
    seeds: "1",
    epochs: "",
    images: "3000",
    out: join("out", "triggers"),
  },
  HELP,
);

/** A training with triggers, or without. */
interface Setting {
  network: string;
  epochs: number;
  images: number;
  /** Triggers; 0 for none. */
  count: number;
  /** How many join each batch. */
  per: number;
  grid: number;
  /** In logits; null for none. */
  margin: number | null;
  statistics: "batch" | "clean";
  /** Share of its norm that each tensor is moved by; 0 for not at all. */
  perturbation: number;
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

async function train(s: Setting): Promise<Result> {
  const learner = LEARNERS[s.network]!;
  const { train: samples, test } = await learner.load(s.images);
  const { batchSize, normalize } = learner;
  const model = learner.build(s.seed);
  const spec = { count: s.count || 1, groups: 1, grid: s.grid || 4, ...(normalize && { normalize }) };
  const triggers = triggersLike(samples, spec);
  const claim = await bind(model, { statement: "bench", secret: newSecret(), ...(s.count && { triggers }) });
  const optimizer = learner.optimizer(model);
  const trainer = new Trainer(model, optimizer, {
    batchSize,
    seed: s.seed,
    transform: learner.transform("train"),
    testTransform: learner.transform("test"),
    schedule: learner.schedule(s.epochs),
    ...(s.count && {
      triggers: boundTriggers(claim, {
        batchSize: s.per,
        statistics: s.statistics,
        perturbation: s.perturbation,
        ...(s.margin !== null && { margin: s.margin }),
      }),
    }),
  });
  const started = performance.now();
  for await (const _ of trainer.fit(samples, { epochs: s.epochs })) {
    // Measured once, at the end.
  }
  const seconds = (performance.now() - started) / 1000;
  const accuracy = await evaluate(model, test, { transform: learner.transform("test") });
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
  const steps = s.epochs * Math.floor(samples.length / batchSize);
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

/**
 * All settings, those of one network and seed one after another, the one without triggers first.
 */
function settingsOf(networks: readonly string[]): Setting[] {
  const list = (name: "counts" | "per" | "grids", most: number) =>
    v[name].split(",").map((n) => numberIn(name, n, 1, most));
  const margins = v.margins.split(",").map((m) => (m === "none" ? null : numberIn("margins", m, 0, 100)));
  const kinds = v.statistics.split(",").map((s) => oneOf("statistics", s, ["batch", "clean"] as const));
  const perturbations = v.perturbations.split(",").map((n) => numberIn("perturbations", n, 0, 1, false));
  const images = numberIn("images", v.images, 50, 3000);
  const each: Pick<Setting, "count" | "per" | "grid" | "margin" | "statistics" | "perturbation">[] = [
    { count: 0, per: 0, grid: 0, margin: null, statistics: "batch", perturbation: 0 },
  ];
  for (const count of list("counts", 1000))
    for (const per of list("per", 1000))
      for (const grid of list("grids", 32))
        for (const margin of margins)
          for (const statistics of kinds)
            for (const perturbation of perturbations) each.push({ count, per, grid, margin, statistics, perturbation });
  const seeds = v.seeds.split(",").map((n) => numberIn("seeds", n, 0, 2 ** 31));
  return networks.flatMap((network) => {
    const epochs = v.epochs ? numberIn("epochs", v.epochs, 1, 1000) : LEARNERS[network]!.epochs;
    return seeds.flatMap((seed) => each.map((s) => ({ network, epochs, images, ...s, seed })));
  });
}

/** Heads and widths of the table's columns. */
const COLUMNS = [
  ["network", 10],
  ["triggers", 9],
  ["per batch", 10],
  ["grid", 5],
  ["margin", 7],
  ["statistics", 11],
  ["moved", 6],
  ["seed", 5],
  ["hits", 6],
  ["needed", 7],
  ["ratio", 6],
  ["looks", 6],
  ["public", 7],
  ["private", 8],
  ["bits", 8],
  ["seconds", 8],
] as const;

const row = (cells: readonly string[]) => cells.map((text, i) => text.padStart(COLUMNS[i]![1])).join("");

function cellsOf(r: Result): string[] {
  const needed = r.count ? matchThreshold(r.count, 1e-6 / 2 ** 80, 1 / 10) : 0;
  const of = (text: string | number) => (r.count ? String(text) : "-");
  const share = (x: number) => (100 * x).toFixed(1);
  return [
    ...[
      r.network,
      String(r.count),
      of(r.per),
      of(r.grid),
      of(r.margin ?? "none"),
      of(r.statistics),
      of(r.perturbation || "-"),
      String(r.seed),
    ],
    ...[of(r.hits), of(needed), of((r.hits / needed).toFixed(2)), of(r.looks.toFixed(0))],
    ...[share(r.public), share(r.private), r.bits, r.seconds.toFixed(0)],
  ];
}

async function main(): Promise<void> {
  const settings = settingsOf(v.networks.split(",").map((n) => oneOf("networks", n, Object.keys(LEARNERS))));
  await init({ gpu: await dawn() });
  await mkdir(v.out, { recursive: true });
  const path = join(v.out, "results.json");
  const known: Result[] = existsSync(path) ? (JSON.parse(await readFile(path, "utf8")) as Result[]) : [];
  console.log(row(COLUMNS.map(([head]) => head)));
  for (const s of settings) {
    let result = known.find((r) => Object.entries(s).every(([name, value]) => r[name as keyof Setting] === value));
    if (!result) {
      result = await train(s);
      known.push(result);
      await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(known, null, 1)));
    }
    console.log(row(cellsOf(result)));
  }
}

await main();
