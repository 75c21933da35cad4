/** @pan/core in its process, used as its documentation says. */
import { type Device, init, matmul, scope, Tensor } from "@pan/core";
import { crossEntropy, scaledDotProductAttention } from "@pan/core/nn";
import { SGD } from "@pan/core/optim";
import { fmaCeiling } from "../ceiling";
import { convolution } from "../operations";
import { once } from "../roof";
import { build } from "./build";
import { numbers, sizeOf } from "./inputs";
import { INPUT_SHAPE, labelsOf, SGD_SETTINGS } from "./networks";
import { initialParameters } from "./parameters";
import type { CeilingRow } from "./protocol";
import type { Row } from "./rows";
import { type ReadyRow, serve } from "./serve";

const input = (label: string, shape: number[]) => Tensor.from(numbers(label, sizeOf(shape)), shape);

/** A row that gives one tensor. */
function operation(inputs: Tensor[], compute: () => Tensor): ReadyRow {
  return {
    run: () => once(compute),
    output: async () => {
      const y = scope(compute);
      const data = await y.data();
      y.dispose();
      return data;
    },
    dispose: () => {
      for (const t of inputs) t.dispose();
    },
  };
}

function convRow({ pass, conv }: Extract<Row, { kind: "conv" }>): ReadyRow {
  const { inputs, compute } = convolution(pass, conv, input);
  return operation(inputs, compute);
}

function attentionRow({ attention, gradient }: Extract<Row, { kind: "attention" }>): ReadyRow {
  const { batch, positions, heads, width } = attention;
  const shape = [batch, positions, heads, width];
  const [q, k, v] = [input("q", shape), input("k", shape), input("v", shape)];
  const compute = () => scaledDotProductAttention(q, k, v);
  if (!gradient) return operation([q, k, v], compute);
  const dy = input("dy", shape);
  const leaves = [q, k, v];
  for (const x of leaves) x.requiresGrad = true;
  const run = () => {
    for (const x of leaves) x.zeroGrad();
    once(() => compute().backward(dy));
  };
  return {
    run,
    output: async () => {
      run();
      const found = await Promise.all(leaves.map((x) => x.grad!.data()));
      return Float32Array.from(found.flatMap((data) => [...data]));
    },
    dispose: () => {
      for (const x of [...leaves, dy]) x.dispose();
    },
  };
}

function trainingStep(device: Device, { network, batch }: Extract<Row, { kind: "step" }>): ReadyRow {
  const model = build(network);
  const initial = new Map(initialParameters(network).map(({ name, data }) => [name, data]));
  for (const [name, tensor, { kind }] of model.namedTensors())
    if (kind === "parameter") tensor.write(initial.get(name)!);
  const optimizer = new SGD(model.parameters(), SGD_SETTINGS);
  const x = input("images", INPUT_SHAPE(batch));
  const y = Tensor.from(labelsOf(batch), [batch]);
  const step = () =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    });
  return {
    run: () => {
      step().dispose();
      device.flush();
    },
    output: async () => {
      const loss = step();
      const data = await loss.data();
      loss.dispose();
      return data;
    },
    dispose: () => {
      for (const each of [optimizer, model, x, y]) each.dispose();
    },
  };
}

function prepare(device: Device, row: Row | CeilingRow): ReadyRow {
  if (row.kind === "ceiling") {
    const { run, work: flop } = fmaCeiling(device);
    const output = async () => {
      run();
      return new Float32Array(0);
    };
    return { run, flop, output, dispose: () => {} };
  }
  if (row.kind === "conv") return convRow(row);
  if (row.kind === "attention") return attentionRow(row);
  if (row.kind === "step") return trainingStep(device, row);
  const [a, b] = [input("a", [row.n, row.n]), input("b", [row.n, row.n])];
  return operation([a, b], () => matmul(a, b));
}

await serve(async (gpu) => {
  const device = await init({ gpu });
  // Batches wait for kernels that are being compiled: until then WebGPU's own queue knows nothing
  // of them.
  return { prepare: (row) => prepare(device, row), submit: () => device.sync() };
});
