/**
 * Rates of the kernels that training spends its time in, on whatever adapter is found, beside that adapter's own ceilings:
 *
 *     npm run bench            prints a table, writes out/bench/kernels.json (and runs step.ts)
 *
 * Every row is the median of interleaved rounds after a warm-up round, GPU waited for. Ceilings: multiply-adds of a kernel that touches registers only, and bytes moved by an elementwise add.
 */
import { mkdir } from "node:fs/promises";
import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel } from "../shaders/kernel";
import { add, conv2d, Generator, init, matmul, noGrad, scope, Tensor } from "../src/index";
import { dawn, writeFileAtomic } from "../src/node/index";
import { conv2dInputGradient, conv2dWeightGradient } from "../src/tensor/ops/conv";
import { median } from "./median";

const ROUNDS = 7;
const device = await init({ gpu: await dawn() });

interface Row {
  name: string;
  /** Work of one run, in units of 1e9 (operations, or bytes). */
  work: number;
  unit: "GFLOP/s" | "GB/s";
  run: () => void;
  milliseconds: number[];
}

const CHAINS = Array.from({ length: 16 }, (_, i) => i);

/** Sixteen independent chains of scalar multiply-adds an invocation: no loads, nothing to wait for. */
const fma = defineKernel({
  name: "fma-ceiling",
  key: () => "",
  bindings: { y: { access: "write" } },
  params: { steps: "u32", scale: "f32" },
  body: (_: null) => wgsl`
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = p.scale + f32(id.x) * 1e-9;
  let c = 1.0 - x;
  ${CHAINS.map((i) => `var a${i} = ${i}.0;`).join(" ")}
  for (var i = 0u; i < p.steps; i++) {
    ${CHAINS.map((i) => `a${i} = a${i} * x + c;`).join(" ")}
  }
  y[id.x] = ${CHAINS.map((i) => `a${i}`).join(" + ")};
}`,
  workgroups: () => [64, 1, 1],
});

const random = (shape: number[], seed: number) =>
  Tensor.from(new Generator(seed).fill(new Float32Array(shape.reduce((n, d) => n * d, 1)), "uniform", -1, 1), shape);

function rows(): Row[] {
  const out: Row[] = [];
  const row = (name: string, work: number, unit: Row["unit"], run: () => void) =>
    out.push({ name, work: work / 1e9, unit, run, milliseconds: [] });
  const steps = 2000;
  const sink = Tensor.empty([64 * 64]);
  row("ceiling: multiply-adds in registers", 2 * CHAINS.length * steps * 64 * 64, "GFLOP/s", () =>
    device.run(fma, null, { y: sink.buffer }, { steps, scale: 0.5 }),
  );
  const [a, b] = [random([1 << 20], 1), random([1 << 20], 2)];
  row("ceiling: bytes moved, a + b", 12 * 2 ** 20, "GB/s", () => void add(a, b));
  for (const n of [256, 512]) {
    const [m, k] = [random([n, n], 1), random([n, n], 2)];
    row(`matmul ${n}³`, 2 * n ** 3, "GFLOP/s", () => void matmul(m, k));
  }
  for (const [batch, size, i, o, kernel] of [
    [16, 16, 32, 64, 3],
    [16, 16, 64, 192, 5],
  ] as const) {
    const padding = (kernel - 1) / 2;
    const [x, w, g] = [
      random([batch, size, size, i], 1),
      random([kernel, kernel, i, o], 2),
      random([batch, size, size, o], 3),
    ];
    const flop = 2 * batch * size * size * kernel * kernel * i * o;
    const name = `conv ${kernel}×${kernel}, ${i}→${o}, ${batch}×${size}×${size}`;
    row(`${name}, forward`, flop, "GFLOP/s", () => void conv2d(x, w, null, { padding }));
    row(`${name}, input gradient`, flop, "GFLOP/s", () => void conv2dInputGradient(g, w, [size, size], { padding }));
    row(
      `${name}, weight gradient`,
      flop,
      "GFLOP/s",
      () => void conv2dWeightGradient(x, g, [kernel, kernel], { padding }),
    );
  }
  return out;
}

const table = rows();
for (let round = 0; round <= ROUNDS; round++) {
  for (const row of table) {
    const started = performance.now();
    scope(() => noGrad(row.run));
    await device.sync();
    if (round > 0) row.milliseconds.push(performance.now() - started);
  }
}

const results = table.map(({ name, work, unit, milliseconds }) => {
  const ms = median(milliseconds);
  return { name, ms, rate: work / (ms / 1000), unit };
});
const ceiling = { "GFLOP/s": results[0]!.rate, "GB/s": results[1]!.rate };
console.log(`${device.name}, median of ${ROUNDS} interleaved rounds`);
for (const { name, ms, rate, unit } of results) {
  const share = `${Math.round((100 * rate) / ceiling[unit])} %`;
  console.log(
    `${name.padEnd(44)} ${ms.toFixed(1).padStart(8)} ms ${rate.toFixed(2).padStart(9)} ${unit.padEnd(8)} ${share.padStart(6)} of the ceiling`,
  );
}
await mkdir("out/bench", { recursive: true });
const record = { adapter: device.name, kind: device.caps.adapter, rounds: ROUNDS, results };
await writeFileAtomic("out/bench/kernels.json", new TextEncoder().encode(JSON.stringify(record, null, 1)));
