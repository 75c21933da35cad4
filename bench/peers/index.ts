/**
 * The package beside TensorFlow.js and jax-js on the same adapter of the same Dawn, in one
 * interleaved run:
 *
 *     npm ci --prefix bench/peers                       installs the two, once
 *     npm run bench -- peers [--rows REGEX] [--rounds 5] [--width 1] [--batch 64] [--resnet-batch 16] [--budget 60] [--timeout 600]
 *
 * Matrix products, every convolution of AlexNet and ResNet-18 and depthwise ones with both
 * gradients, attention, and training steps (rows.ts). Each library has a process of its own and is
 * idle while another runs. All get the same numbers, and only a peer whose result agrees with ours
 * is timed. Operations that are quick are timed several at once, training steps one by one; the GPU
 * is always waited for. Peers' batch norms keep no running statistics, ours does. Writes
 * out/bench/peers-ADAPTERCLASS.json, and after each row what there is so far to the same name with
 * .partial.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { ArgumentError, PanError } from "@pan/core";
import { writeFileAtomic } from "@pan/core/node";
import { numberIn } from "../../examples/options";
import { benchOptions } from "../options";
import { Meter, type Workers } from "./measure";
import { type Hello, LIBRARIES } from "./protocol";
import type { PeersRecord, RowRecord } from "./record";
import { allRows, type Row } from "./rows";
import { formatPeers } from "./table";
import { Worker } from "./worker";

const HELP = `npm run bench -- peers [options]

  --rows REGEX          only rows whose name matches (case does not matter)
  --rounds N            interleaved rounds (5)
  --width S             share of the papers' channels in AlexNet, ResNet-18 and MobileNet (1)
  --batch N             images a batch of all but the small network and ResNet-18 (64)
  --resnet-batch N      images a batch of ResNet-18 (16)
  --budget SECONDS      timed runs a row and library: a slow one gets fewer rounds (60)
  --timeout SECONDS     a library that answers later counts as hanging (600)
  --list                names of the rows, nothing measured`;

const PEERS = ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-webgpu", "@jax-js/jax"];

interface Settings {
  rows: Row[];
  rounds: number;
  budget: number;
  timeout: number;
  list: boolean;
  /** As they go into the record. */
  options: Record<string, number | string>;
}

function readSettings(): Settings {
  const v = benchOptions(
    {
      rows: "",
      rounds: "5",
      width: "1",
      batch: "64",
      "resnet-batch": "16",
      budget: "60",
      timeout: "600",
    },
    HELP,
    ["list"],
  );
  const width = numberIn("width", v.width, 0.02, 1, false);
  const batch = numberIn("batch", v.batch, 1, 1024);
  const resnetBatch = numberIn("resnet-batch", v["resnet-batch"], 1, 1024);
  const rounds = numberIn("rounds", v.rounds, 1, 1000);
  const budget = numberIn("budget", v.budget, 0, 1e6, false);
  const timeout = numberIn("timeout", v.timeout, 1, 1e6, false);
  const wanted = pattern(v.rows);
  const rows = allRows({ width, batch, resnetBatch }).filter(({ name }) => wanted.test(name));
  if (!rows.length) throw new ArgumentError(`--rows: no row's name matches "${v.rows}"; --list shows them`);
  const options = { rows: v.rows, rounds, width, batch, resnetBatch, budget, timeout };
  return { rows, rounds, budget, timeout, list: v.list, options };
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, "iu");
  } catch (cause) {
    throw new ArgumentError(`--rows: a regular expression expected, found "${text}": ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Versions of everything that runs. @throws ArgumentError when the peers are not installed. */
function versions(): Record<string, string> {
  const manifest = (name: string, folder: string) =>
    new URL(`${folder}node_modules/${name}/package.json`, import.meta.url);
  if (!PEERS.every((name) => existsSync(manifest(name, "./"))))
    throw new ArgumentError("the libraries to compare with are not installed: npm ci --prefix bench/peers");
  const version = (url: URL) => (JSON.parse(readFileSync(url, "utf8")) as { version: string }).version;
  return {
    "@pan/core": version(new URL("../../package.json", import.meta.url)),
    webgpu: version(manifest("webgpu", "../../")),
    ...Object.fromEntries(PEERS.map((name) => [name, version(manifest(name, "./"))])),
    node: process.versions.node,
  };
}

const encode = (record: PeersRecord) => new TextEncoder().encode(JSON.stringify(record, null, 1));

async function compare({ rows, rounds, budget, timeout, list, options }: Settings): Promise<void> {
  if (list) return console.log(rows.map(({ name }) => name).join("\n"));
  const installed = versions();
  let adapter: Hello["hello"] | null = null;
  const greet = (found: Hello["hello"]) => {
    adapter ??= found;
    if (found.description === adapter.description) return;
    throw new PanError(
      `all libraries must run on one adapter, found "${adapter.description}" and "${found.description}": choose one with PAN_ADAPTER`,
    );
  };
  const workers = Object.fromEntries(LIBRARIES.map((name) => [name, new Worker(name, timeout, greet)])) as Workers;
  const stop = () => Object.values(workers).forEach((worker) => worker.kill());
  const interrupted = (signal: NodeJS.Signals) => {
    stop();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, interrupted);
  try {
    // Ours first: without it there is nothing to compare, and its adapter is the one asked for.
    await workers.ours.start();
    const { description, kind } = adapter!;
    const say = (words: string) => void process.stderr.write(words);
    const meter = new Meter(workers, { rounds, budget, say });
    const done: RowRecord[] = [];
    const record: PeersRecord = { adapter: description, kind, versions: installed, options, rows: done };
    const file = `out/bench/peers-${kind}.json`;
    const partial = `out/bench/peers-${kind}.partial.json`;
    await mkdir("out/bench", { recursive: true });
    for (const [i, row] of rows.entries()) {
      say(`[${i + 1}/${rows.length}] ${row.name}: `);
      done.push(await meter.measure(row));
      await writeFileAtomic(partial, encode(record));
    }
    console.log(formatPeers(record, rounds));
    await writeFileAtomic(file, encode(record));
    await rm(partial, { force: true });
    console.log(`\n${file}`);
  } catch (error) {
    process.stderr.write("\n"); // The line of the row that was under way ends here.
    throw error;
  } finally {
    stop();
    for (const signal of signals) process.off(signal, interrupted);
  }
}

await compare(readSettings());
