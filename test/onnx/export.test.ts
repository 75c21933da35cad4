/** What an ONNX model says of itself, what it never holds, and what is refused. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { Message } from "../../src/io/protobuf-writer";
import { buildNetwork } from "../../src/models";
import { BatchNorm, Dropout, Linear, Module, parameter, Sequential } from "../../src/nn";
import { exportOnnx, type OnnxOptions } from "../../src/onnx/export";
import { protect } from "../../src/passport";
import type { Network } from "../../src/passport/trace";
import { add, mul, reshape } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { concat } from "../../src/tensor/ops/movement";
import { einsum } from "../../src/tensor/ops/products/einsum";
import { dropout, RandomStream } from "../../src/tensor/ops/random";
import { keep } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { found, latin1, scattered } from "../support/bytes";
import { gpu, randomData } from "../support/gpu";
import { channelsFirst, expectLike, type Fed, readModel, runModel, runNetwork } from "../support/onnx";
import { OwnNetwork } from "../support/own-network";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const IMAGES: Fed = { data: randomData([2, 8, 8, 3], 1), shape: [2, 8, 8, 3] };
const SAMPLE = [1, 8, 8, 3];

/** A function as a network. */
class Of extends Module {
  readonly w = parameter(Tensor.from([1, 2, 3], [3]));
  constructor(readonly f: (x: never, w: Tensor) => unknown) {
    super();
  }
  forward(x: never): unknown {
    return this.f(x, this.w);
  }
}
const network = (f: (x: never, w: Tensor) => unknown) => new Of(f) as Module;

const refused = async (of: Module, options: unknown): Promise<string> => {
  const error = await exportOnnx(of, options as OnnxOptions).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ArgumentError);
  return (error as Error).message;
};

describe("a model", () => {
  it("has weights by the names and in the order of the state dict, and nothing that it does not need", async () => {
    const net = new OwnNetwork();
    const state = await net.stateDict();
    const model = readModel(await exportOnnx(net, { sample: SAMPLE }));
    const named = [...state.keys()].filter((name) => !name.endsWith("num_batches_tracked"));
    expect([...model.constants.keys()].filter((name) => !name.startsWith("constant")).sort()).toEqual(named.sort());
    for (const name of named) {
      const { shape, raw, type } = model.constants.get(name)!;
      expect([type, shape], name).toEqual([1, state.get(name)!.shape]);
      expect(new Float32Array(raw.buffer), name).toEqual(toFloat32(state.get(name)!));
    }
    const used = new Set(model.nodes.flatMap((node) => node.inputs));
    expect([...model.constants.keys()].filter((name) => !used.has(name))).toEqual([]);
    net.dispose();
  });

  it("says what it is: versions, names, sizes, layers", async () => {
    const net = new OwnNetwork();
    const model = readModel(await exportOnnx(net, { sample: SAMPLE }));
    expect(model).toMatchObject({ version: 8, opset: 17, producer: "@pan/core", name: "network" });
    expect(model.inputs).toEqual([{ name: "input", type: 1, sizes: ["batch", 3, 8, 8] }]);
    expect(model.outputs).toEqual([{ name: "output", type: 1, sizes: ["batch", 3] }]);
    expect(model.nodes.map(({ name }) => name)).toContain("stem/Conv");
    expect(model.nodes.filter(({ type }) => type === "Transpose")).toEqual([]);
    expect(new Set(model.nodes.map(({ name }) => name)).size).toBe(model.nodes.length);
    net.dispose();
  });

  it("takes images as forward does, and a batch of one size, where it is asked to", async () => {
    const net = new OwnNetwork();
    const bytes = await exportOnnx(net, { sample: [2, 8, 8, 3], layout: "NHWC", batch: "fixed", name: "mine" });
    const model = readModel(bytes);
    expect([model.name, model.inputs[0]!.sizes]).toEqual(["mine", [2, 8, 8, 3]]);
    expectLike((await runModel(bytes, { input: IMAGES }))["output"]!, await runNetwork(net as Network, IMAGES));
    net.dispose();
  });

  it("has inputs and outputs of any number, by names of their own or those given", async () => {
    const net = network(({ a, b }: { a: Tensor; b: Tensor }, w) => ({ sum: add(a, w), more: [mul(b, 2), a] }));
    const options = { sample: { a: [1, 3], b: [1, 2] } };
    const bytes = await exportOnnx(net, options);
    const feeds = {
      a: { data: Float32Array.of(1, 2, 3), shape: [1, 3] },
      b: { data: Float32Array.of(4, 5), shape: [1, 2] },
    };
    const results = await runModel(bytes, feeds);
    expect(Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...data]]))).toEqual({
      sum: [2, 4, 6],
      "more.0": [8, 10],
      "more.1": [1, 2, 3],
    });
    const inputNames = ["left", "right"];
    const named = readModel(await exportOnnx(net, { ...options, inputNames, outputNames: ["p", "q", "r"] }));
    expect(named.inputs.map(({ name }) => name)).toEqual(inputNames);
    expect(named.outputs.map(({ name }) => name)).toEqual(["p", "q", "r"]);
    const listed = network(([a, b]: Tensor[]) => [add(a!, b!)]);
    expect(
      readModel(
        await exportOnnx(listed, {
          sample: [
            [1, 3],
            [1, 3],
          ],
        }),
      ).inputs.map(({ name }) => name),
    ).toEqual(["input.0", "input.1"]);
  });

  it("keeps tensors that the network holds beside its state, as they are now", async () => {
    const held = keep(Tensor.from([5, 6, 7], [3]));
    const net = network((x: Tensor) => add(add(x, held), Tensor.from([1, 1, 2], [3])));
    const bytes = await exportOnnx(net, { sample: [1, 3] });
    const { output } = await runModel(bytes, { input: { data: Float32Array.of(0, 1, 2), shape: [1, 3] } });
    expect([...output!.data]).toEqual([6, 8, 11]);
    held.dispose();
  });

  it.each([
    ["in training", []],
    ["in evaluation, with layers set apart", [1, 2]],
  ])("leaves a network %s as it was: mode, values, and a training that goes on", async (_, apart) => {
    const net = new Sequential(
      new Linear(3, 4),
      new BatchNorm(4, { momentum: null }),
      new Dropout(0.5),
      new Linear(4, 2),
    );
    if (apart.length) net.eval();
    for (const i of apart) net.layers[i]!.train();
    const [before, modes] = [await net.stateDict(), net.namedModules().map(([, m]) => m.training)];
    await exportOnnx(net, { sample: [2, 3] });
    expect(await net.stateDict()).toEqual(before);
    expect(net.namedModules().map(([, m]) => m.training)).toEqual(modes);
    net.dispose();
  });

  it("is of evaluation throughout, where a new head was left in training", async () => {
    const net = new Sequential(new Linear(3, 4), new BatchNorm(4), new Dropout(0.5)).eval();
    const norm = net.layers[1] as BatchNorm;
    norm.runningMean.fill(0.5);
    norm.runningVar.fill(4);
    for (const layer of net.layers.slice(1)) layer.train();
    const input = { data: randomData([2, 3], 4), shape: [2, 3] };
    const { output } = await runModel(await exportOnnx(net, { sample: [1, 3] }), { input });
    expectLike(output!, await runNetwork(net.eval() as never, input));
    net.dispose();
  });
});

describe("a protected network", () => {
  it.each([
    "pan",
    "v1",
    "v2",
    "v3",
  ] as const)("of scheme %s gives what is given away, and nothing else", async (scheme) => {
    const owned = buildNetwork({ ...TINY, scheme }, { seed: 2 });
    owned.loadStateDict(scattered(await owned.stateDict()));
    const credential = await owned.credential();
    const deployed = await owned.deployed();
    const [h, w, c] = TINY.input;
    const bytes = await exportOnnx(owned, { sample: [1, h, w, c] });
    expect(found(credential.tensors, bytes)).toEqual([]);
    for (const word of ["passport", "skey", "signature", "pan-credential", "private", "PAN!"])
      expect(latin1(bytes).includes(word), word).toBe(false);
    const { constants } = readModel(bytes);
    const own = [...deployed.tensors].filter(([name]) => !name.endsWith("num_batches_tracked"));
    for (const [name, tensor] of own)
      expect(new Float32Array(constants.get(name)!.raw.buffer), name).toEqual(toFloat32(tensor));
    const images = { data: randomData([2, h, w, c], 3), shape: [2, h, w, c] };
    const results = await runModel(bytes, { input: channelsFirst(images) });
    expectLike(results["output"]!, await runNetwork(owned as unknown as Network, images));
    // The search finds what is there.
    expect(found(deployed.tensors, bytes).sort()).toEqual(own.map(([name]) => name).sort());
    owned.dispose();
  });

  it("of a user's own is exported as the network is; a module around it is not", async () => {
    const make = () => new OwnNetwork(3);
    const [owned, plain] = [
      protect(make(), { scheme: "pan", at: ["stem_norm"], signature: "(c) ME", sample: SAMPLE }),
      make(),
    ];
    expect(await exportOnnx(owned, { sample: SAMPLE })).toEqual(await exportOnnx(plain, { sample: SAMPLE }));
    class Around extends Module {
      readonly owned = owned;
      forward(x: Tensor): unknown {
        return this.owned.forward(x, "private" as never);
      }
    }
    expect(await refused(new Around(), { sample: SAMPLE })).toMatch(/owned holds passports/);
  });
});

describe("what is refused", () => {
  const WRONG: [string, () => Module, unknown, RegExp][] = [
    [
      "a network of one size of the batch",
      () => network((x: Tensor) => crossEntropy(x, [0, 1])),
      { sample: [2, 3] },
      /with a batch of 3: crossEntropy: labels.*"fixed"/,
    ],
    ["no sample", () => new OwnNetwork(), {}, /sample is the shape/],
    ["no options", () => new OwnNetwork(), undefined, /sample is the shape/],
    ["an unknown option", () => new OwnNetwork(), { sample: SAMPLE, opset: 12 }, /no option "opset"/],
    ["another layout", () => new OwnNetwork(), { sample: SAMPLE, layout: "CHWN" }, /layout is "NCHW" or "NHWC"/],
    ["another batch", () => new OwnNetwork(), { sample: SAMPLE, batch: 4 }, /batch is "dynamic" or "fixed"/],
    ["names too many", () => new OwnNetwork(), { sample: SAMPLE, inputNames: ["a", "b"] }, /inputNames is a list of 1/],
    ["a name twice", () => new OwnNetwork(), { sample: SAMPLE, outputNames: ["input"] }, /"input" would be the name/],
    ["a weight's name", () => new OwnNetwork(), { sample: SAMPLE, outputNames: ["head.bias"] }, /"head.bias" would/],
    ["no network", () => ({}) as Module, { sample: SAMPLE }, /network is a Module/],
    ["no forward", () => new (class extends Module {})(), { sample: SAMPLE }, /forward\(x\)/],
    ["a scalar", () => network((x: Tensor) => x), { sample: [] }, /first dimension/],
    [
      "two batches",
      () => network(([a]: Tensor[]) => a),
      {
        sample: [
          [1, 3],
          [2, 3],
        ],
      },
      /one size of the batch/,
    ],
    ["numbers that come out", () => network(() => 3), { sample: [1, 3] }, /returns 3|tensor, or a list/],
    ["nothing that comes out", () => network(() => []), { sample: [1, 3] }, /a tensor, or a list/],
    [
      "a diagonal",
      () => network((x: Tensor) => einsum("nii->ni", x)),
      { sample: [1, 3, 3] },
      /"diagonal".*what can be: /,
    ],
    [
      "random numbers",
      () => network((x: Tensor) => add(x, new RandomStream(1).normal([3]))),
      { sample: [1, 3] },
      /"random".*draws/,
    ],
    [
      "dropout in evaluation",
      () => network((x: Tensor) => dropout(x, 0.5, new RandomStream(1), true)),
      { sample: [1, 3] },
      /"dropout".*drops in evaluation/,
    ],
    [
      "an input without numbers",
      () => new OwnNetwork(),
      { sample: [0, 8, 8, 3], batch: "fixed" },
      /shape of one input/,
    ],
    ["writes", () => network((x: Tensor, w) => add(x, w.fill(1))), { sample: [1, 3] }, /writes to a tensor/],
    ["writes later", () => network((x: Tensor) => writtenLater(x)), { sample: [1, 3] }, /writes to a tensor/],
    [
      "what goes with the batch otherwise",
      () => network((x: Tensor) => concat([x, Tensor.full([1, 3], 1)], 0)),
      { sample: [1, 3] },
      /no multiple of the batch.*"fixed"/,
    ],
    [
      "other numbers for other batches",
      () => network((x: Tensor) => mul(x, 1 / x.shape[0]!)),
      { sample: [1, 3] },
      /otherwise for batches of 2 and of 3.*"mul".*"fixed"/,
    ],
    [
      "a batch in two dimensions",
      () => network((x: Tensor) => reshape(einsum("ni,mj->nmij", x, x), [x.shape[0]!, x.shape[0]!, 9])),
      { sample: [1, 3] },
      /batch in several dimensions.*"fixed"/,
    ],
  ];
  const writtenLater = (x: Tensor): Tensor => {
    const t = Tensor.full([3], 1);
    const first = add(x, t);
    t.fill(2);
    return add(first, t);
  };

  it.each(WRONG)("%s", async (_, make, options, because) => {
    expect(await refused(make(), options)).toMatch(because);
  });

  it.each(["dynamic", "fixed"] as const)("is the network's to refuse where it is no input, %s", async (size) => {
    const exported = exportOnnx(new OwnNetwork(), { sample: [1, 8, 8, 4], batch: size });
    await expect(exported).rejects.toThrow(/^conv2d: input with 4 channels/);
  });

  it("is not refused for a batch of one size", async () => {
    const net = network((x: Tensor) => concat([mul(x, 1 / x.shape[0]!), Tensor.full([1, 3], 1)], 0));
    const bytes = await exportOnnx(net, { sample: [2, 3], batch: "fixed" });
    const { output } = await runModel(bytes, { input: { data: Float32Array.of(2, 4, 6, 8, 10, 12), shape: [2, 3] } });
    expect([...output!.data]).toEqual([1, 2, 3, 4, 5, 6, 1, 1, 1]);
  });
});

describe("protocol buffers", () => {
  it("are written as their documentation has them", () => {
    const inner = new Message().integer(1, 150);
    const bytes = new Message().message(3, inner).text(2, "testing").integer(1, -1).float(4, 1.5).integers(5, [3, 270]);
    expect([...bytes.bytes()]).toEqual([
      ...[0x1a, 3, 0x08, 0x96, 1],
      ...[0x12, 7, ...Buffer.from("testing")],
      ...[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
      ...[0x25, 0, 0, 0xc0, 0x3f],
      ...[0x28, 3, 0x28, 0x8e, 2],
    ]);
    expect(bytes.length).toBe(bytes.bytes().length);
  });
});
