/** @pan/core in its process, used as its documentation says. */
import { type Device, Generator, init, matmul, noGrad, scope, Tensor } from "@pan/core";
import { AlexNet, ResNet18 } from "@pan/core/models";
import {
  BatchNorm,
  Conv2d,
  crossEntropy,
  GlobalAvgPool,
  Linear,
  MaxPool2d,
  type Module,
  Sequential,
} from "@pan/core/nn";
import { SGD } from "@pan/core/optim";
import { fmaCeiling } from "../ceiling";
import { convolution } from "../operations";
import { once } from "../roof";
import { numbers, sizeOf } from "./inputs";
import { INPUT_SHAPE, initialParameters, labelsOf, type NetworkSpec, SGD_SETTINGS } from "./networks";
import type { CeilingRow } from "./protocol";
import type { Row } from "./rows";
import { type ReadyRow, serve } from "./serve";

const input = (label: string, shape: number[]) => Tensor.from(numbers(label, sizeOf(shape)), shape);

/** A row that gives one tensor, without a graph. */
function operation(inputs: Tensor[], compute: () => Tensor): ReadyRow {
  return {
    run: () => once(compute),
    output: async () => {
      const y = scope(() => noGrad(compute));
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

type Network = Module & { forward(x: Tensor): Tensor };

function build({ arch, width }: NetworkSpec): Network {
  if (arch === "alexnet") return new AlexNet({ width });
  if (arch === "resnet18") return new ResNet18({ width: Math.round(64 * width) });
  const random = new Generator(1);
  const conv = (from: number, to: number) => new Conv2d(from, to, 3, { padding: 1, bias: false, random });
  const norm = (channels: number) => new BatchNorm(channels, { relu: true });
  const pool = () => new MaxPool2d(2);
  const body = [conv(3, 32), norm(32), pool(), conv(32, 64), norm(64), pool(), conv(64, 128), norm(128)];
  return new Sequential(...body, new GlobalAvgPool(), new Linear(128, 10, { random }));
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
