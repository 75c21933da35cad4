/**
 * TensorFlow.js with its WebGPU backend, in its process. Channels-last, the layout its WebGPU
 * kernels are right in.
 */
import { createRequire } from "node:module";
import { numbers, permuted, sizeOf } from "./inputs";
import { CLASSES, INPUT_SHAPE, initialParameters, labelsOf, SGD_SETTINGS } from "./networks";
import { serve } from "./serve";

const EPSILON = 1e-5;

/**
 * The library, loaded once there is a `navigator.gpu`: its backend looks for one as it is loaded.
 */
let tf;

const input = (label, shape) => tf.tensor(numbers(label, sizeOf(shape)), shape);

function operation(inputs, compute) {
  return {
    run: () => tf.tidy(compute).dispose(),
    output: async () => {
      const y = tf.tidy(compute);
      const data = await y.data();
      y.dispose();
      return data;
    },
    dispose: () => tf.dispose(inputs),
  };
}

function convolution({ pass, conv: c }) {
  const settings = { strides: [c.stride, c.stride], pad: c.padding, dataFormat: "NHWC" };
  const kernel = (name, inputs, attributes) =>
    operation(Object.values(inputs), () => tf.engine().runKernel(name, inputs, { ...settings, ...attributes }));
  const xShape = [c.batch, c.size, c.size, c.in];
  const wShape = [c.kernel, c.kernel, c.in, c.out];
  const dy = () => input("dy", [c.batch, c.outSize, c.outSize, c.out]);
  if (pass === "forward") {
    const [x, filter] = [input("x", xShape), input("w", wShape)];
    return operation([x, filter], () => tf.conv2d(x, filter, c.stride, c.padding));
  }
  if (pass === "input gradient")
    return kernel("Conv2DBackpropInput", { dy: dy(), filter: input("w", wShape) }, { inputShape: xShape });
  return kernel("Conv2DBackpropFilter", { x: input("x", xShape), dy: dy() }, { filterShape: wShape });
}

/** Positions in the description's order (channel, row, column) come row, column, channel here. */
function headWeight({ gather: { kind, shape } }, data) {
  const [h, w, c] = shape;
  return kind === "mean" ? data : permuted(data, [c, h, w, CLASSES], [1, 2, 0, 3]);
}

function forward(network, p, x) {
  const block = (b, h) => {
    const y = tf.conv2d(h, p[b.weight], b.stride, b.padding);
    const { mean, variance } = tf.moments(y, [0, 1, 2]);
    return tf.relu(tf.batchNorm(y, mean, variance, p[b.beta], p[b.gamma], EPSILON));
  };
  const residual = ({ first, second, shortcut }, h) =>
    tf.relu(tf.add(block(second, block(first, h)), shortcut ? block(shortcut, h) : h));
  let h = x;
  for (const part of network.parts) {
    if (part.kind === "pool") h = tf.maxPool(h, 2, 2, "valid");
    else h = part.kind === "block" ? block(part.block, h) : residual(part, h);
  }
  const features = network.gather.kind === "mean" ? tf.mean(h, [1, 2]) : tf.reshape(h, [x.shape[0], -1]);
  return tf.add(tf.matMul(features, p[network.head.weight]), p[network.head.bias]);
}

function trainingStep({ network, batch }) {
  const p = Object.fromEntries(
    initialParameters(network).map(({ name, shape, data }) => {
      const first = tf.tensor(name === network.head.weight ? headWeight(network, data) : data, shape);
      const variable = tf.variable(first);
      first.dispose();
      return [name, variable];
    }),
  );
  const variables = Object.values(p);
  const x = input("images", INPUT_SHAPE(batch));
  const y = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(labelsOf(batch), "int32"), CLASSES), "float32"));
  const optimizer = tf.train.momentum(SGD_SETTINGS.lr, SGD_SETTINGS.momentum);
  const step = () =>
    optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, forward(network, p, x)), true, variables);
  return {
    run: () => step().dispose(),
    output: async () => {
      const loss = step();
      const data = await loss.data();
      loss.dispose();
      return data;
    },
    dispose: () => {
      optimizer.dispose();
      tf.dispose([...variables, x, y]);
    },
  };
}

function prepare(row) {
  if (row.kind === "conv") return convolution(row);
  if (row.kind === "step") return trainingStep(row);
  const [a, b] = [input("a", [row.n, row.n]), input("b", [row.n, row.n])];
  return operation([a, b], () => tf.matMul(a, b));
}

await serve(async () => {
  // One instance for both packages; the union package, since the core alone has no gradients in
  // Node.
  const require = createRequire(import.meta.url);
  tf = require("@tensorflow/tfjs");
  require("@tensorflow/tfjs-backend-webgpu");
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU backend here");
  await tf.ready();
  const backend = tf.backend();
  /** Commands are submitted some at a time: what is left over waits here. */
  const submit = () => {
    if (!backend.commandEncoder) return;
    backend.endComputePassEncoder();
    backend.submitQueue();
  };
  return { prepare, submit };
});
