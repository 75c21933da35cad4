/**
 * jax-js with its WebGPU backend, in its process. Channels-first, the only layout it has: inputs
 * are transposed before anything is timed.
 */
import { blockUntilReady, defaultDevice, grad, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { numbers, permuted, sizeOf } from "./inputs";
import { attention, conv2d, forward } from "./jax-networks.mjs";
import { CLASSES, INPUT_SHAPE, labelsOf, SGD_SETTINGS } from "./networks";
import { initialParameters } from "./parameters";
import { serve } from "./serve";

/** Channels-last to channels-first of images and of weights [k, k, I/groups, O], and back. */
const LAYOUTS = {
  same: { there: null, back: null },
  image: { there: [0, 3, 1, 2], back: [0, 2, 3, 1] },
  weight: { there: [3, 2, 0, 1], back: [2, 3, 1, 0] },
};

function array(data, shape, layout = "same") {
  const { there } = LAYOUTS[layout];
  if (!there) return np.array(data).reshape(shape);
  return np.array(permuted(data, shape, there)).reshape(there.map((d) => shape[d]));
}

const input = (label, shape, layout) => array(numbers(label, sizeOf(shape)), shape, layout);

/** Runs whose results are not there yet: kernels start when somebody waits for them. */
let pending = [];

/**
 * @param compute a jitted function; like all of them it consumes its arguments, so it is given
 * references.
 */
function operation(inputs, compute, shape, layout = "same") {
  const call = () => compute(...inputs.map((t) => t.ref));
  return {
    run: () => {
      const y = call();
      pending.push(blockUntilReady(y).then(() => y.dispose()));
    },
    output: async () => {
      const data = await call().data();
      const { there, back } = LAYOUTS[layout];
      return back
        ? permuted(
            data,
            there.map((d) => shape[d]),
            back,
          )
        : data;
    },
    dispose: () => tree.dispose(inputs),
  };
}

function convolution({ pass, conv: c }) {
  const xShape = [c.batch, c.size, c.size, c.in];
  const wShape = [c.kernel, c.kernel, c.in / c.groups, c.out];
  const x = () => input("x", xShape, "image");
  const w = () => input("w", wShape, "weight");
  const yShape = [c.batch, c.outSize, c.outSize, c.out];
  const dy = () => input("dy", yShape, "image");
  const conv = (a, b) => conv2d(a, b, c);
  if (pass === "forward") return operation([x(), w()], jit(conv), yShape, "image");
  // Under jit the forward convolution, whose result nobody uses, falls away; a gradient needs a
  // point to be taken at.
  if (pass === "input gradient") {
    const gradient = jit((a, b, g) => grad((t) => conv(t, b).mul(g).sum())(a));
    return operation([x(), w(), dy()], gradient, xShape, "image");
  }
  const gradient = jit((a, b, g) => grad((t) => conv(a, t).mul(g).sum())(b));
  return operation([x(), w(), dy()], gradient, wShape, "weight");
}

function attentionRow({ attention: { batch, positions, heads, width }, gradient }) {
  const shape = [batch, positions, heads, width];
  const inputs = ["q", "k", "v"].map((label) => input(label, shape));
  if (!gradient) return operation(inputs, jit(attention), shape);
  const dy = input("dy", shape);
  const gradients = jit((q, k, v, g) =>
    grad((a, b, c) => attention(a, b, c).mul(g).sum(), { argnums: [0, 1, 2] })(q, k, v),
  );
  const call = () => gradients(...[...inputs, dy].map((t) => t.ref));
  return {
    run: () => {
      const found = call();
      pending.push(blockUntilReady(found).then(() => tree.dispose(found)));
    },
    output: async () => {
      const data = await Promise.all(call().map((t) => t.data()));
      return Float32Array.from(data.flatMap((part) => [...part]));
    },
    dispose: () => tree.dispose([...inputs, dy]),
  };
}

function trainingStep({ network, batch }) {
  const { lr, momentum } = SGD_SETTINGS;
  let p = Object.fromEntries(
    initialParameters(network).map(({ name, shape, data }) => [
      name,
      array(data, shape, shape.length === 4 ? "weight" : "same"),
    ]),
  );
  let velocity = tree.map((t) => np.zeros(t.shape), p);
  const x = input("images", INPUT_SHAPE(batch), "image");
  const hot = new Float32Array(batch * CLASSES);
  labelsOf(batch).forEach((label, i) => {
    hot[i * CLASSES + label] = 1;
  });
  const y = array(hot, [batch, CLASSES]);
  const lossOf = (parameters, images, labels) =>
    nn
      .logSoftmax(forward(network, parameters, images))
      .mul(labels)
      .sum()
      .mul(-1 / batch);
  const update = jit((parameters, velocities, images, labels) => {
    const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(parameters), images, labels);
    const [next, speeds] = [{}, {}];
    for (const name of Object.keys(parameters)) {
      speeds[name] = velocities[name].mul(momentum).add(gradients[name]);
      next[name] = parameters[name].sub(speeds[name].ref.mul(lr));
    }
    return [loss, next, speeds];
  });
  const step = () => {
    const [loss, next, speeds] = update(p, velocity, x.ref, y.ref);
    [p, velocity] = [next, speeds];
    return loss;
  };
  return {
    run: async () => {
      const loss = step();
      // Everything that one jitted call gives is computed when one of its results is waited for.
      await blockUntilReady(loss);
      loss.dispose();
    },
    output: () => step().data(),
    dispose: () => tree.dispose([p, velocity, x, y]),
  };
}

function prepare(row) {
  if (row.kind === "conv") return convolution(row);
  if (row.kind === "attention") return attentionRow(row);
  if (row.kind === "step") return trainingStep(row);
  const shape = [row.n, row.n];
  return operation([input("a", shape), input("b", shape)], jit(np.matmul), shape);
}

await serve(async () => {
  const devices = await init("webgpu");
  if (!devices.includes("webgpu")) throw new Error("jax-js has no WebGPU backend here");
  defaultDevice("webgpu");
  const submit = async () => {
    const started = pending;
    pending = [];
    await Promise.all(started);
  };
  return { prepare, submit };
});
