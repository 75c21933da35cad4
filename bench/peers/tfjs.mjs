/**
 * TensorFlow.js with its WebGPU backend, in its process. Channels-last, the layout its WebGPU
 * kernels are right in.
 */
import { createRequire } from "node:module";
import { numbers, permuted, sizeOf } from "./inputs";
import { CLASSES, INPUT_SHAPE, labelsOf, SGD_SETTINGS } from "./networks";
import { initialParameters } from "./parameters";
import { serve } from "./serve";
import { attention, forward } from "./tfjs-networks.mjs";

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

/** Depthwise filters are [k, k, channels, 1]: the same numbers in the same order. */
function depthwise({ pass, conv: c }) {
  const settings = { strides: [c.stride, c.stride], pad: c.padding, dilations: [1, 1] };
  const xShape = [c.batch, c.size, c.size, c.in];
  const wShape = [c.kernel, c.kernel, c.in, 1];
  const x = () => input("x", xShape);
  const w = () => input("w", wShape);
  const dy = () => input("dy", [c.batch, c.outSize, c.outSize, c.out]);
  const kernel = (name, inputs, attributes) =>
    operation(Object.values(inputs), () => tf.engine().runKernel(name, inputs, { ...settings, ...attributes }));
  if (pass === "forward") {
    const [image, filter] = [x(), w()];
    return operation([image, filter], () => tf.depthwiseConv2d(image, filter, c.stride, c.padding));
  }
  if (pass === "input gradient")
    return kernel("DepthwiseConv2dNativeBackpropInput", { dy: dy(), filter: w() }, { inputShape: xShape });
  return kernel("DepthwiseConv2dNativeBackpropFilter", { x: x(), dy: dy() }, { filterShape: wShape });
}

function attentionRow({ attention: { batch, positions, heads, width }, gradient }) {
  const shape = [batch, positions, heads, width];
  const leaves = [input("q", shape), input("k", shape), input("v", shape)];
  const compute = (q, k, v) => attention(tf, q, k, v);
  if (!gradient) return operation(leaves, () => compute(...leaves));
  const dy = input("dy", shape);
  const gradients = () => tf.tidy(() => tf.grads(compute)(leaves, dy));
  return {
    run: () => tf.dispose(gradients()),
    output: async () => {
      const found = gradients();
      const data = await Promise.all(found.map((t) => t.data()));
      tf.dispose(found);
      return Float32Array.from(data.flatMap((part) => [...part]));
    },
    dispose: () => tf.dispose([...leaves, dy]),
  };
}

/** Positions in the description's order (channel, row, column) come row, column, channel here. */
function headWeight({ shape: [h, w, c] }, data) {
  return permuted(data, [c, h, w, CLASSES], [1, 2, 0, 3]);
}

function trainingStep({ network, batch }) {
  const flattens = network.gather?.kind === "flatten";
  const p = Object.fromEntries(
    initialParameters(network).map(({ name, shape, data }) => {
      const permutes = flattens && name === network.head.weight;
      const first = tf.tensor(permutes ? headWeight(network.gather, data) : data, shape);
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
    optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, forward(tf, network, p, x)), true, variables);
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
  if (row.kind === "conv") return row.conv.groups > 1 ? depthwise(row) : convolution(row);
  if (row.kind === "attention") return attentionRow(row);
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
