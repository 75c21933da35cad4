/**
 * How a training step grows: time and peak memory against batch size and width, beside the memory
 * that a step cannot do without.
 *
 *     npm run bench -- scale [--arch alexnet|resnet18] [--schemes plain,pan] [--widths 0.0625,0.25,1] [--batches 1,2,4,…]
 *                            [--activations f32,f16,recomputed] [--rounds 3] [--most-seconds 120] [--out out/bench]
 *
 * One size after another, each with a network of its own and an emptied pool: a step that compiles,
 * then `rounds` steps, each waited for; the median counts. Writes scale-ADAPTER.json (after every
 * size) and scale-ADAPTER.svg; of another architecture than AlexNet with its name behind.
 *
 * Peak memory is the most that tensors had taken from the pool at once during these steps, in the
 * pool's size classes. What must live is
 *
 *     parameters + gradients + state of optimiser, norms and passports + activations saved for the backward pass, the input with them
 *
 * in bytes asked for: the state is what `memory()` counts with network and optimiser made, and no
 * gradients, less the parameters; the activations are what it counts more once a forward pass is
 * done and every handle but the loss is disposed, since then only the graph keeps tensors.
 * Gradients come while activations go, so a peak below the sum is possible where parameters
 * outweigh activations.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  ArgumentError,
  add,
  type Device,
  Generator,
  GpuError,
  init,
  LimitError,
  memory,
  scope,
  Tensor,
} from "@pan/core";
import { type AnyNetwork, alexNetConfig, buildNetwork, resNetConfig } from "@pan/core/models";
import type { Module } from "@pan/core/nn";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import type { Protected } from "@pan/core/passport";
import { listOf, numberIn, oneOf } from "../examples/options";
import {
  drawScale,
  isMeasured,
  type MeasuredStep,
  type ScaleRecord,
  type ScaleRow,
  type StepSize,
} from "../report/src/index";
import { recomputing } from "../src/nn/recompute";
import { packingSaved } from "../src/tensor/packing";
import { lossesOf, trainStep } from "../src/train/step";
import type { Samples } from "../src/train/task";
import { median } from "./median";
import { benchOptions } from "./options";

const ARCHITECTURES = ["alexnet", "resnet18"] as const;
const ACTIVATIONS = ["f32", "f16", "recomputed"] as const;
const SCHEMES = ["plain", "v1", "v2", "pan"] as const;
const HELP = `npm run bench -- scale [options]      time and memory of a training step against batch size and width

  --arch NAME        ${ARCHITECTURES.join(" | ")} (default alexnet)
  --schemes LIST     of ${SCHEMES.join(", ")}; passports in the last three convolutions, or the last stage (default plain,pan)
  --widths LIST      channels, as shares of the papers' (default 0.0625,0.125,0.25,0.5,1)
  --batches LIST     (default 1,2,4,8,16,32,64,128,256)
  --activations LIST what they wait in for the backward pass, of ${ACTIVATIONS.join(", ")}, the last being ResNet-18's
                     blocks in all stages without passports (default f32)
  --rounds N         measured steps a size (default 3)
  --most-seconds N   leave out sizes that are expected to take longer in all (default 120)
  --out DIR          (default out/bench)`;

function readSettings() {
  const v = benchOptions(
    {
      arch: "alexnet",
      schemes: "plain,pan",
      widths: "0.0625,0.125,0.25,0.5,1",
      activations: "f32",
      batches: "1,2,4,8,16,32,64,128,256",
      rounds: "3",
      "most-seconds": "120",
      out: join("out", "bench"),
    },
    HELP,
  );
  const activations = [...new Set(listOf(v.activations).map((name) => oneOf("activations", name, ACTIVATIONS)))];
  if (activations.includes("recomputed") && v.arch !== "resnet18")
    throw new ArgumentError(
      `--activations recomputed: --arch resnet18 expected, found ${v.arch}, whose layers are no blocks`,
    );
  const sorted = (name: "widths" | "batches", low: number, high: number, whole: boolean) =>
    [...new Set(listOf(v[name]).map((text) => numberIn(name, text, low, high, whole)))].sort((a, b) => a - b);
  return {
    arch: oneOf("arch", v.arch, ARCHITECTURES),
    schemes: [...new Set(listOf(v.schemes).map((name) => oneOf("schemes", name, SCHEMES)))],
    widths: sorted("widths", 0.02, 4, false),
    batches: sorted("batches", 1, 65_536, true),
    activations,
    rounds: numberIn("rounds", v.rounds, 1, 1000),
    mostSeconds: numberIn("most-seconds", v["most-seconds"], 0, 1e6, false),
    out: v.out,
  };
}
type Settings = NonNullable<ReturnType<typeof readSettings>>;

function build({ arch }: Settings, { scheme, width }: StepSize): Protected<AnyNetwork> {
  const last = arch === "alexnet" ? { 4: true, 5: true, 6: true } : { layer4: true };
  const options = { scheme, ...(scheme !== "plain" && { passports: last }) };
  const config =
    arch === "alexnet"
      ? alexNetConfig({ ...options, width })
      : resNetConfig([2, 2, 2, 2], { ...options, width: Math.max(1, Math.round(64 * width)) });
  return buildNetwork(config, { seed: 1 });
}

/** The blocks of the stages without passports. */
function blocksOf(model: Protected<AnyNetwork>, { scheme, activations }: StepSize): Module[] {
  const stage = scheme === "plain" ? /^layer\d\.\d$/ : /^layer[123]\.\d$/;
  return activations === "recomputed"
    ? model.network.namedModules().flatMap(([name, m]) => (stage.test(name) ? [m] : []))
    : [];
}

/** Bytes that the graph of a step's loss keeps, between its forward and its backward pass. */
function savedBytes(
  model: Protected,
  upload: () => Samples,
  { recompute, beyond }: { recompute: readonly Module[]; beyond: Tensor | null },
): number {
  const before = memory().bytes;
  const forward = () =>
    scope(() => {
      const losses = recomputing(recompute, () => lossesOf(model, upload())).map(([, loss]) => loss);
      return losses.reduce((a, b) => add(a, b));
    });
  const loss = packingSaved(beyond, forward);
  const saved = memory().bytes - before;
  loss.dispose();
  return saved;
}

/** One size, on a device where nothing else lives. */
async function measure(device: Device, s: Settings, size: StepSize): Promise<ScaleRow> {
  const outside = memory().bytes;
  const { batch } = size;
  const made: { dispose(): void }[] = [];
  try {
    const model = build(s, size);
    made.push(model);
    const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
    made.push(optimizer);
    const random = new Generator(1);
    const images = random.fill(new Float32Array(batch * 32 * 32 * 3), "normal", 0, 1);
    const labels = Int32Array.from({ length: batch }, () => random.integer(10));
    const upload = () => ({ x: Tensor.from(images, [batch, 32, 32, 3]), y: Tensor.from(labels, [batch]) });
    const bytesOf = (tensors: readonly Tensor[]) => tensors.reduce((sum, t) => sum + 4 * t.size, 0);
    const parameters = bytesOf(model.parameters());
    const state = memory().bytes - outside - parameters;
    const recompute = blocksOf(model, size);
    const beyond = size.activations === "f16" ? Tensor.full([1], 0, "u32") : null;
    if (beyond) made.push(beyond);
    const how = { recompute, beyond };
    const saved = savedBytes(model, upload, how);
    const step = async () => {
      trainStep(model, optimizer, [upload], how);
      await device.sync();
    };
    // What only the counting pass needed is not held by the steps.
    await device.sync();
    device.pool.trim(0);
    await step();
    device.pool.resetPeak();
    const { dispatches } = device.counters;
    const times: number[] = [];
    for (let round = 0; round < s.rounds; round++) {
      const started = performance.now();
      await step();
      times.push(performance.now() - started);
    }
    const gradients = bytesOf(model.parameters().filter((p) => p.grad));
    const mustLive = parameters + gradients + state + saved;
    const { peakUsed, peakBytes } = device.poolStats;
    return {
      ...size,
      milliseconds: median(times),
      dispatches: (device.counters.dispatches - dispatches) / s.rounds,
      peakUsed,
      peakHeld: peakBytes,
      live: { parameters, gradients, state, saved },
      mustLive,
      ratio: peakUsed / mustLive,
    };
  } catch (error) {
    const full = error instanceof LimitError || (error instanceof GpuError && /out of memory/i.test(error.message));
    if (!full) throw error;
    return { ...size, problem: `does not fit: ${error.message}` };
  } finally {
    for (const each of made) each.dispose();
    await device.sync();
    device.pool.trim(0);
  }
}

/**
 * Seconds that a size is expected to take: from the largest smaller batch of the same network, in
 * proportion; else from the smallest measured batch of the next smaller width, with its square.
 * Undefined where nothing is known.
 */
function expectedSeconds(
  rows: readonly ScaleRow[],
  { scheme, activations, width, batch }: StepSize,
  rounds: number,
): number | undefined {
  const known = rows.filter(
    (r): r is MeasuredStep => isMeasured(r) && r.scheme === scheme && r.activations === activations,
  );
  const own = known.filter((r) => r.width === width && r.batch < batch).at(-1);
  const narrower = Math.max(...known.map((r) => r.width).filter((w) => w < width));
  const base = own ?? known.find((r) => r.width === narrower);
  return base && ((rounds + 1) * base.milliseconds * (batch / base.batch) * (width / base.width) ** 2) / 1000;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1).padStart(9);

function describe(row: ScaleRow): string {
  const size = `${row.scheme.padEnd(6)} ${(row.activations ?? "f32").padEnd(10)} ${String(row.width).padStart(7)} ${String(row.batch).padStart(6)}`;
  if (!isMeasured(row)) return `${size}  ${row.problem}`;
  return `${size} ${row.milliseconds.toFixed(1).padStart(10)} ${megabytes(row.peakUsed)} ${megabytes(row.mustLive)} ${row.ratio.toFixed(2).padStart(6)} ${megabytes(row.live.saved)} ${megabytes(row.peakHeld)}`;
}

async function main(s: Settings): Promise<void> {
  const device = await init({ gpu: await dawn() });
  const { arch, rounds, mostSeconds } = s;
  const rows: ScaleRow[] = [];
  const record: ScaleRecord = { adapter: device.name, kind: device.caps.adapter, arch, rounds, mostSeconds, rows };
  const path = join(s.out, `scale-${record.kind}${arch === "alexnet" ? "" : `-${arch}`}`);
  const write = (file: string, text: string) => writeFileAtomic(file, new TextEncoder().encode(text));
  await mkdir(s.out, { recursive: true });
  console.log(
    `\n${device.name}: a training step of ${arch} against batch and width, medians of ${rounds}; memory in MB`,
  );
  console.log("scheme activations  width  batch         ms      peak must live  ratio     saved      held");
  const series = s.schemes.flatMap((scheme) => s.activations.map((activations) => ({ scheme, activations })));
  for (const each of series)
    for (const width of s.widths)
      for (const batch of s.batches) {
        const size: StepSize = { ...each, width, batch };
        const seconds = expectedSeconds(rows, size, rounds);
        const row =
          seconds !== undefined && seconds > mostSeconds
            ? {
                ...size,
                problem: `left out, and larger batches: about ${Math.ceil(seconds)} s expected, --most-seconds is ${mostSeconds}`,
              }
            : await measure(device, s, size);
        rows.push(row);
        console.log(describe(row));
        await write(`${path}.json`, JSON.stringify(record, null, 1));
        if (!isMeasured(row)) break;
      }
  const drawn = rows.some(isMeasured);
  if (drawn) await write(`${path}.svg`, drawScale(record));
  console.log(`written ${path}.json${drawn ? " and .svg" : "; nothing to draw"}`);
}

await main(readSettings());
