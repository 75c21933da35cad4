/**
 * Inference beside what people deploy with: this package, ONNX Runtime on WebGPU and as WebAssembly
 * on the exported model, and TensorFlow.js, in one Chromium whose WebGPU runs on the processor; and
 * ONNX Runtime for processors in Node.
 *
 *     npm ci --prefix bench/peers          installs TensorFlow.js, once
 *     npm ci --prefix bench/inference      installs ONNX Runtime for Node, once (300 MB)
 *     npm run bench -- inference [--networks LIST] [--width 0.25] [--batches 1,32] [--rounds 7]
 *
 * Every library has a page of its own, from a server that lets nothing be cached, or a process.
 * *First* is from the call to the first logits: the library, the network, compilation, one run.
 * Then all run in turns, one run each; medians count. Logits have to agree with ours to 1e-3 of the
 * largest, or the library is not timed. Writes out/bench/inference.json.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors, Generator, init, manualSeed, UnavailableError } from "@pan/core";
import { alexNetConfig, buildNetwork, resNetConfig } from "@pan/core/models";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { exportOnnx } from "@pan/core/onnx";
import { chromium } from "playwright-core";
import { build } from "tsup";
import { listOf, numberIn, oneOf } from "../../examples/options";
import { VisionTransformer } from "../../examples/vit/network";
import packaging from "../../tsup.config";
import { median } from "../median";
import { mobileConvs, mobileNet } from "../mobilenet";
import { benchOptions } from "../options";
import { visionTransformer } from "../peers/transformer";
import { type Host, openPage, openProcess } from "./hosts";
import type { PageOptions } from "./page";
import { type Served, serve } from "./serve";

const PAGES = ["ours", "ort-webgpu", "ort-wasm", "tfjs-webgpu"] as const satisfies PageOptions["library"][];
const LIBRARIES = [...PAGES, "ort-node"] as const;
/** What is measured where it is installed. */
const INSTALLED: Partial<Record<(typeof LIBRARIES)[number], string>> = {
  "tfjs-webgpu": join(import.meta.dirname, "..", "peers", "node_modules", "@tensorflow", "tfjs"),
  "ort-node": join(import.meta.dirname, "node_modules", "onnxruntime-node"),
};
const NETWORKS = ["alexnet", "resnet9", "resnet18", "mobilenet", "vit"] as const;
const BLOCKS = { resnet9: [1, 1, 1, 1], resnet18: [2, 2, 2, 2] } as const;
const SAMPLE = [32, 32, 3] as const;

const HELP = `npm run bench -- inference [options]      logits in Chromium, beside ONNX Runtime (there and in Node) and TensorFlow.js

  --networks LIST   of ${NETWORKS.join(", ")} (all)
  --width S         share of the papers' channels, but for the transformer's (0.25)
  --batches LIST    (1,32)
  --rounds N        timed runs of each (7)
  --threads N       of WebAssembly, and of Node (as many as there are processors)`;

interface Settings {
  networks: readonly (typeof NETWORKS)[number][];
  width: number;
  batches: readonly number[];
  rounds: number;
  threads: number;
}

function readSettings(): Settings {
  const texts = { networks: NETWORKS.join(), width: "0.25", batches: "1,32", rounds: "7", threads: "" };
  const v = benchOptions(texts, HELP);
  return {
    networks: listOf(v.networks).map((name) => oneOf("networks", name, NETWORKS)),
    width: numberIn("width", v.width, 0.02, 1, false),
    batches: listOf(v.batches).map((n) => numberIn("batches", n, 1, 1024)),
    rounds: numberIn("rounds", v.rounds, 1, 1000),
    threads: numberIn("threads", v.threads || String(availableParallelism()), 1, 256),
  };
}

/** A plain network with random weights, in both formats. */
async function networkOf(name: Settings["networks"][number], width: number): Promise<Served> {
  const { model, tensors, metadata } = await (name === "mobilenet" || name === "vit"
    ? ownNetwork(name, width)
    : papersNetwork(name, width));
  const onnx = await exportOnnx(model, { sample: [1, ...SAMPLE], layout: "NHWC" });
  model.dispose();
  return { safetensors: encodeSafetensors(tensors, metadata), onnx };
}

/** One of modules and classes outside of the package, described for the page. */
async function ownNetwork(name: "mobilenet" | "vit", width: number) {
  manualSeed(1);
  const model = name === "vit" ? new VisionTransformer() : mobileNet(width);
  const described = name === "vit" ? visionTransformer() : { arch: name, width, convs: mobileConvs(width) };
  return { model, tensors: await model.stateDict(), metadata: { model: JSON.stringify(described) } };
}

async function papersNetwork(name: "alexnet" | keyof typeof BLOCKS, width: number) {
  const config =
    name === "alexnet"
      ? alexNetConfig({ scheme: "plain", width })
      : resNetConfig(BLOCKS[name], { scheme: "plain", width: Math.round(64 * width) });
  const model = buildNetwork(config, { seed: 1 });
  return { model, ...(await model.deployed()) };
}

/** One library on one network and batch. */
interface Row {
  network: string;
  batch: number;
  library: (typeof LIBRARIES)[number];
  about: string;
  /** Milliseconds to the first logits. */
  first: number;
  /** Median milliseconds of a run; undefined where its logits are others. */
  run?: number;
  /** Largest difference from ours, in the largest of ours. */
  difference: number;
}

/** All libraries on one network and batch. */
async function measure(
  open: (library: (typeof LIBRARIES)[number]) => Promise<Host>,
  network: string,
  batch: number,
  rounds: number,
): Promise<Row[]> {
  const images = [...new Generator(2).fill(new Float32Array(batch * 32 * 32 * 3), "normal", 0, 1)];
  const rows: (Row & { host: Host; times: number[] })[] = [];
  let expected: number[] = [];
  for (const library of LIBRARIES) {
    const folder = INSTALLED[library];
    if (folder !== undefined && !existsSync(folder)) continue;
    const host = await open(library);
    const { about, milliseconds, logits } = await host.call("first", images, batch);
    if (library === "ours") expected = logits;
    const most = expected.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    const apart = logits.reduce((a, x, i) => Math.max(a, Math.abs(x - expected[i]!)), 0) / most;
    rows.push({ network, batch, library, about, first: milliseconds, difference: apart, host, times: [] });
  }
  const timed = rows.filter(({ difference }) => difference < 1e-3);
  for (const { host } of timed) await host.call("times", images, batch, 2);
  for (let round = 0; round < rounds; round++)
    for (const { host, times } of timed) times.push(...(await host.call("times", images, batch, 1)));
  for (const { host } of rows) await host.close();
  return rows.map(({ host: _, times, ...row }) => ({ ...row, ...(times.length && { run: median(times) }) }));
}

async function main(s: Settings): Promise<void> {
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  const args = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...env } = process.env as Record<string, string>;
  await init({ gpu: await dawn() });
  const browser = await chromium.launch({ executablePath, args, env }).catch((cause: unknown) => {
    throw new UnavailableError(
      `Chromium expected at ${executablePath}: install it, or name one in the environment variable CHROMIUM`,
      { cause },
    );
  });
  const bundle = await mkdtemp(join(tmpdir(), "pan-inference-"));
  let network: Served | null = null;
  const site = await serve(bundle, () => network!);
  const rows: Row[] = [];
  try {
    await build({ ...packaging, config: false, format: ["esm"], dts: false, outDir: bundle, silent: true });
    console.log(`Chromium ${browser.version()}, width ${s.width}; milliseconds, times of ours in brackets`);
    console.log("network   batch  library             first               a run        difference");
    for (const name of s.networks) {
      network = await networkOf(name, s.width);
      for (const batch of s.batches) {
        const { onnx } = network;
        const open = (library: (typeof LIBRARIES)[number]) =>
          library === "ort-node"
            ? openProcess(onnx, s.threads)
            : openPage(browser, site.url, { library, threads: s.threads });
        const found = await measure(open, name, batch, s.rounds);
        const [ours] = found;
        for (const row of found) {
          const cell = (ms: number | undefined, own: number) =>
            ms === undefined ? "others' logits" : `${ms.toFixed(1)} (${(ms / own).toFixed(2)})`;
          console.log(
            `${name.padEnd(9)} ${String(batch).padStart(5)}  ${row.library.padEnd(11)} ${cell(row.first, ours!.first).padStart(16)} ${cell(row.run, ours!.run!).padStart(19)} ${row.difference.toExponential(1).padStart(11)}`,
          );
        }
        rows.push(...found);
      }
    }
  } finally {
    site.close();
    await browser.close();
    await rm(bundle, { recursive: true });
  }
  await mkdir(join("out", "bench"), { recursive: true });
  const record = { chromium: browser.version(), ...s, rows };
  await writeFileAtomic(
    join("out", "bench", "inference.json"),
    new TextEncoder().encode(JSON.stringify(record, null, 1)),
  );
}

await main(readSettings());
