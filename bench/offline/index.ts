/**
 * Training steps through the compilers of graphics cards that are not here:
 *
 *     npm run bench -- offline [--cards navi21,navi31,gfx1201,vega20] [--networks alexnet,resnet18,pointnet,vit]
 *                              [--scheme pan|plain] [--precision f32|f16] [--batch 64] [--width 1] [--rows 16]
 *
 * Every kernel and dispatch of a step is written down without running any; Dawn makes SPIR-V of the
 * kernels, and Mesa's driver for AMD's cards machine code of it, which says what each kernel takes
 * of the card: registers, spills, occupancy, workgroup memory, multiply-adds in the hot loop. From
 * that and the card's published rates follows what the step could take (model.ts). Cards of other
 * makers (h100, h200, m3max) borrow the code of navi31. Writes out/bench/offline-CARD.json.
 */
import { mkdir } from "node:fs/promises";
import { writeFileAtomic } from "@pan/core/node";
import { listOf, numberIn, oneOf } from "../../examples/options";
import { benchOptions } from "../options";
import { captureStep } from "./capture";
import { CARDS, type CardName } from "./cards";
import { OfflineCompiler } from "./compile";
import { NETWORKS } from "./networks";
import { type KernelPrediction, predictStep, type StepPrediction } from "./prediction";

const v = benchOptions(
  {
    cards: "navi21,navi31,gfx1201,vega20",
    networks: NETWORKS.join(),
    scheme: "pan",
    precision: "f32",
    batch: "64",
    width: "1",
    rows: "16",
  },
  "npm run bench -- offline [--cards LIST] [--networks LIST] [--scheme pan|plain] [--precision f32|f16] [--batch N] [--width S] [--rows N]",
);
const cards = listOf(v.cards).map((name) => oneOf("cards", name, Object.keys(CARDS) as CardName[]));
const networks = listOf(v.networks).map((name) => oneOf("networks", name, NETWORKS));
const options = {
  scheme: oneOf("scheme", v.scheme, ["pan", "plain"]),
  precision: oneOf("precision", v.precision, ["f32", "f16"]),
  batch: numberIn("batch", v.batch, 1, 1024),
  width: numberIn("width", v.width, 0.02, 1, false),
};
const rows = numberIn("rows", v.rows, 1, 1000);

const percent = (share: number) => `${Math.round(100 * share)} %`;

function describe(row: KernelPrediction): string {
  const { kernel, dispatches, milliseconds, ideal, binds, waves, registers, spills, workgroupMemory, workgroupBytes } =
    row;
  const share = row.multiplyAdds === null ? "–" : percent(row.multiplyAdds);
  return [
    kernel.padEnd(60),
    `${milliseconds.toFixed(3).padStart(8)} ms`,
    `ideal ${ideal.toFixed(3).padStart(7)}`,
    `${String(dispatches).padStart(4)} dispatches`,
    binds.padEnd(10),
    `waves ${String(waves).padStart(2)}`,
    `registers ${String(registers).padStart(3)}`,
    `spills ${spills}`,
    `workgroup ${String(workgroupMemory).padStart(5)} B`,
    `multiply-adds ${share.padStart(5)}`,
    workgroupBytes === null ? "" : `${workgroupBytes.toFixed(2)} B of workgroup memory each`,
  ]
    .join("  ")
    .trimEnd();
}

const compiler = new OfflineCompiler("out/bench/offline");
const steps: { network: (typeof NETWORKS)[number]; step: Awaited<ReturnType<typeof captureStep>> }[] = [];
for (const network of networks) steps.push({ network, step: await captureStep(network, options) });
await mkdir("out/bench", { recursive: true });
for (const { step } of steps) await compiler.add(step.kernels);
for (const name of cards) {
  const card = CARDS[name];
  const compiled = await compiler.compile(card.family);
  const record: Record<string, StepPrediction> = {};
  for (const { network, step } of steps) {
    const prediction = predictStep(step, compiled, card);
    record[network] = prediction;
    const { milliseconds, launches, ideal, dispatches, kernels, convolutions } = prediction;
    const reached = convolutions === null ? "" : `, convolutions at ${percent(convolutions)} of the card's peak`;
    const borrowed = card.isBorrowed ? `, with the machine code of ${card.family}` : "";
    console.log(
      `\n${card.name}${borrowed}: a step of ${network} ${options.scheme}, batch ${options.batch}, ${options.precision}, predicted ${milliseconds.toFixed(2)} ms (launches ${launches.toFixed(2)}), ideal ${ideal.toFixed(2)} ms, ${dispatches} dispatches of ${kernels.length} kernels${reached}`,
    );
    for (const row of kernels.slice(0, rows)) console.log(describe(row));
  }
  await writeFileAtomic(
    `out/bench/offline-${name}.json`,
    new TextEncoder().encode(JSON.stringify({ card, ...options, steps: record }, null, 1)),
  );
}
