/**
 * Every kind of kernel that training spends its time in, as a share of the adapter's ceiling that
 * binds it:
 *
 *     npm run bench -- kernels [--rows REGEX] [--width 1] [--batch 16] [--resnet-batch 4] [--rounds 5]
 *
 * Products, all passes of the convolutions of AlexNet and ResNet-18 and of depthwise ones,
 * attention (beside the same put together of products), norms, pooling, elementwise operations, the
 * optimiser. Medians of interleaved rounds after a warm-up round, ceilings measured in each; GPU
 * waited for. Writes out/bench/kernels-ADAPTERCLASS.json.
 */
import { mkdir } from "node:fs/promises";
import { add, init, keep, matmul, Tensor } from "@pan/core";
import { affine, batchNorm, maxPool2d, relu, scaledDotProductAttention, softmax } from "@pan/core/nn";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { numberIn } from "../examples/options";
import { median } from "./median";
import { convolution, random } from "./operations";
import { benchOptions } from "./options";
import { ATTENTION, allRows, attentionName } from "./peers/rows";
import { BINDS, describeRoof, RoofMeter, shareOfRoof, timed, type Work, workOf } from "./roof";

const HELP = "npm run bench -- kernels [--rows REGEX] [--width S] [--batch N] [--resnet-batch N] [--rounds N]";
const v = benchOptions({ rows: "", width: "1", batch: "16", "resnet-batch": "4", rounds: "5" }, HELP);
const wanted = new RegExp(v.rows);
const sizes = {
  width: numberIn("width", v.width, 0.02, 1, false),
  batch: numberIn("batch", v.batch, 1, 1024),
  resnetBatch: numberIn("resnet-batch", v["resnet-batch"], 1, 1024),
};
const rounds = numberIn("rounds", v.rounds, 1, 1000);

const device = await init({ gpu: await dawn() });
const meter = new RoofMeter(device);

/** Something to measure, made when its turn comes: its inputs take much memory. */
interface Row {
  readonly name: string;
  readonly make: () => { run: () => void; dispose: () => void };
}

/** Activations of a layer with 64 channels. */
const LAYER = [16, 32, 32, 64];

const operation = (inputs: Tensor[], run: () => void) => ({
  run,
  dispose: () => {
    for (const t of inputs) t.dispose();
  },
});

/** What moves more than it computes; backward kernels are in the profile of a step (step.ts). */
function memoryRows(): Row[] {
  const one = (name: string, f: (x: Tensor) => void): Row => ({
    name: `${name}, ${LAYER.join("×")}`,
    make: () => {
      const x = random(LAYER, 1);
      return operation([x], () => f(x));
    },
  });
  const channels = LAYER[3]!;
  return [
    one("add", (x) => add(x, x)),
    one("relu", (x) => relu(x)),
    one("max-pool 2×2", (x) => maxPool2d(x, 2)),
    one("batch norm + affine + ReLU, forward", (x) =>
      batchNorm(x, { gamma: gammaOf(channels), beta: gammaOf(channels), training: true, relu: true }),
    ),
    {
      name: "SGD with momentum, 4 × 1 M weights",
      make: () => {
        const weights = [1, 2, 3, 4].map((seed) => {
          const w = keep(random([2 ** 20], seed));
          w.requiresGrad = true;
          w.grad = keep(random([2 ** 20], seed + 4));
          return w;
        });
        const sgd = new SGD(weights, { lr: 1e-6, momentum: 0.9, weightDecay: 1e-4 });
        const dispose = () => {
          sgd.dispose();
          for (const w of weights) w.dispose();
        };
        return { run: () => sgd.step(), dispose };
      },
    },
  ];
}

const gammas = new Map<number, Tensor>();
const gammaOf = (channels: number): Tensor => {
  let found = gammas.get(channels);
  if (!found) gammas.set(channels, (found = keep(Tensor.full([channels], 1))));
  return found;
};

function productRows(): Row[] {
  return allRows(sizes).flatMap((row): Row[] => {
    if (row.kind === "step" || row.kind === "attention") return [];
    if (row.kind === "conv")
      return [
        {
          name: row.name,
          make: () => {
            const { inputs, compute } = convolution(row.pass, row.conv, (what, shape) =>
              random(shape, what.charCodeAt(0)),
            );
            return operation(inputs, compute);
          },
        },
      ];
    return [
      {
        name: row.name,
        make: () => {
          const [a, b] = [random([row.n, row.n], 1), random([row.n, row.n], 2)];
          return operation([a, b], () => matmul(a, b));
        },
      },
    ];
  });
}

function attentionRows(): Row[] {
  return ATTENTION.flatMap((size) => {
    const { batch: n, positions: t, heads, width: d } = size;
    const ways: [string, number[], (q: Tensor, k: Tensor, v: Tensor) => Tensor][] = [
      ["attention", [n, t, heads, d], (q, k, v) => scaledDotProductAttention(q, k, v)],
      // Heads before positions, as products want them: to bring them there is not counted.
      [
        "attention of products",
        [n, heads, t, d],
        (q, k, v) => matmul(softmax(affine(matmul(q, k, { transposeB: true }), d ** -0.5)), v),
      ],
    ];
    return ways.flatMap(([name, shape, f]) =>
      [false, true].map(
        (both): Row => ({
          name: `${name} ${attentionName(size)}, ${both ? "forward and backward" : "forward"}`,
          make: () => {
            const inputs = [1, 2, 3, 4].map((seed) => random(shape, seed));
            const [q, k, v, g] = inputs as [Tensor, Tensor, Tensor, Tensor];
            for (const x of [q, k, v]) x.requiresGrad = both;
            const run = () => {
              const y = f(q, k, v);
              if (both) y.backward(g);
              for (const x of [q, k, v]) x.zeroGrad();
            };
            return operation(inputs, run);
          },
        }),
      ),
    );
  });
}

interface Result {
  readonly name: string;
  readonly ms: number;
  readonly work: Work;
}

async function measure({ name, make }: Row): Promise<Result> {
  const { run, dispose } = make();
  const milliseconds: number[] = [];
  for (let round = -1; round < rounds; round++) {
    await meter.round(round >= 0);
    const ms = await timed(device, run);
    if (round >= 0) milliseconds.push(ms);
  }
  const work = await workOf(device, run);
  dispose();
  return { name, ms: median(milliseconds), work };
}

const results: Result[] = [];
for (const row of [...productRows(), ...attentionRows(), ...memoryRows()]) {
  if (!wanted.test(row.name)) continue;
  process.stderr.write(`${row.name} …\n`);
  results.push(await measure(row));
}

const { roof } = meter;
console.log(`\n${device.name}: medians of ${rounds} interleaved rounds`);
console.log(describeRoof(roof));
const table = results.map(({ name, ms, work }) => {
  const { binds, share } = shareOfRoof(work, roof, ms / 1000);
  return { name, ms, ...work, gflops: work.operations / ms / 1e6, gbs: work.bytes / ms / 1e6, binds, share };
});
for (const { name, ms, operations, gflops, gbs, binds, share } of table) {
  const rate = operations ? `${gflops.toFixed(2).padStart(9)} GFLOP/s` : `${gbs.toFixed(2).padStart(9)} GB/s   `;
  const ofFma = operations
    ? `${Math.round((100e9 * gflops) / roof.operations)
        .toString()
        .padStart(4)} % of multiply-adds`
    : "".padStart(23);
  console.log(
    `${name.padEnd(62)} ${ms.toFixed(2).padStart(9)} ms ${rate} ${ofFma}  ${Math.round(100 * share)
      .toString()
      .padStart(4)} % of what binds it: ${BINDS[binds]}`,
  );
}
await mkdir("out/bench", { recursive: true });
const record = { adapter: device.name, kind: device.caps.adapter, caps: device.caps, rounds, ...sizes, roof, table };
await writeFileAtomic(
  `out/bench/kernels-${device.caps.adapter}.json`,
  new TextEncoder().encode(JSON.stringify(record, null, 1)),
);
