/**
 * The networks of the bench in TensorFlow.js, from the file that we deploy: batch norms are folded
 * into the convolutions, which add and rectify in the same kernel, as its converter has it.
 */

type Numbers = { shape: number[]; data: Float32Array };

/** What of a network's description is needed. */
interface Described {
  arch?: string;
  blocks?: number[];
  layers?: ("pool" | { kernel: number; stride?: number; padding?: number })[];
  /** Of MobileNet's convolutions, in their order. */
  convs?: { stride: number; padding: number }[];
}

/** Tensors and description of a safetensors file. */
function decode(bytes: Uint8Array<ArrayBuffer>): { described: Described; tensors: Map<string, Numbers> } {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = new Map<string, Numbers>();
  for (const [name, entry] of Object.entries(header)) {
    const { dtype, shape, data_offsets: at } = entry as { dtype: string; shape: number[]; data_offsets: number[] };
    if (dtype === "F32")
      tensors.set(name, {
        shape,
        data: new Float32Array(bytes.buffer.slice(8 + length + at[0]!, 8 + length + at[1]!)),
      });
  }
  return { described: JSON.parse(header.__metadata__.model), tensors };
}

// biome-ignore lint/suspicious/noExplicitAny: TensorFlow.js is a script that the page loads.
type Tf = any;
type Value = unknown;

/** @returns from images in NHWC order to logits */
export async function networkOf(tf: Tf, bytes: Uint8Array<ArrayBuffer>): Promise<(x: Value) => Value> {
  const { described, tensors } = decode(bytes);
  const of = (name: string) => tensors.get(name)!;

  /**
   * A convolution with its norm, folded, and ReLU, as the networks have it everywhere: filters of
   * PyTorch's order [O, I/groups, H, W], where one channel a group is a depthwise one.
   */
  function folded(map: string, norm: string, stride: number, padding: number) {
    const { shape, data } = of(`${map}.weight`);
    const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
      (part) => of(`${norm}.${part}`).data,
    );
    const scales = gamma!.map((g, o) => g / Math.sqrt(variance![o]! + 1e-5));
    const each = data.length / shape[0]!;
    const scaled = data.map((w, i) => w * scales[Math.floor(i / each)]!);
    const depthwise = shape[1] === 1;
    const filter = tf.keep(tf.transpose(tf.tensor(scaled, shape), depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0]));
    const convolve = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    const bias = tf.keep(tf.tensor1d(beta!.map((b, o) => b - mean![o]! * scales[o]!)));
    return (x: Value): Value => convolve({ x, filter, strides: stride, pad: padding, bias, activation: "relu" });
  }

  const conv = (name: string, stride: number, padding: number) => folded(`${name}.conv`, `${name}.bn`, stride, padding);

  function linear(name: string) {
    const weight = tf.keep(tf.tensor(of(`${name}.weight`).data, of(`${name}.weight`).shape));
    const bias = tf.keep(tf.tensor1d(of(`${name}.bias`).data));
    return (x: Value): Value => tf.add(tf.matMul(x, weight, false, true), bias);
  }

  if (described.arch === "vit") {
    const { forward } = await import("/peers/tfjs-networks.mjs" as string);
    const p = [...tensors].map(([name, { shape, data }]) => {
      const given = tf.tensor(data, shape);
      // Weights lie as the package has them: [I, O] and [H, W, I, O].
      const order = shape.length === 4 ? [2, 3, 1, 0] : [1, 0];
      return [name, name.endsWith("weight") && shape.length > 1 ? tf.transpose(given, order) : given];
    });
    const parameters = Object.fromEntries(p);
    return (x) => forward(tf, described, parameters, x);
  }
  if (described.arch === "mobilenet") {
    const convs = described.convs!.map(({ stride, padding }, i) => folded(`${2 * i}`, `${2 * i + 1}`, stride, padding));
    const head = linear(`${2 * convs.length + 1}`);
    return (x) =>
      head(
        tf.mean(
          convs.reduce((h, each) => each(h), x),
          [1, 2],
        ),
      );
  }
  if (described.arch === "resnet") {
    const stem = conv("convbnrelu_1", 1, 1);
    const blocks = described.blocks!.flatMap((count, stage) =>
      Array.from({ length: count }, (_, b) => {
        const name = `layer${stage + 1}.${b}`;
        const stride = stage > 0 && b === 0 ? 2 : 1;
        const first = conv(`${name}.convbnrelu_1`, stride, 1);
        const second = conv(`${name}.convbn_2`, 1, 1);
        const shortcut = tensors.has(`${name}.shortcut.conv.weight`) ? conv(`${name}.shortcut`, stride, 0) : null;
        return (x: Value) => tf.relu(tf.add(second(first(x)), shortcut ? shortcut(x) : x));
      }),
    );
    const head = linear("linear");
    return (x) =>
      head(
        tf.mean(
          blocks.reduce((h, block) => block(h), stem(x)),
          [1, 2],
        ),
      );
  }
  const layers = described.layers!.map((layer, i) =>
    layer === "pool"
      ? (x: Value): Value => tf.maxPool(x, 2, 2, "valid")
      : conv(`features.${i}`, layer.stride ?? 1, layer.padding ?? 0),
  );
  const head = linear("classifier");
  return (x) => {
    const out = layers.reduce((h, layer) => layer(h), x) as { shape: number[] };
    return head(tf.reshape(tf.transpose(out, [0, 3, 1, 2]), [out.shape[0], -1]));
  };
}
