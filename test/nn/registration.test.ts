import { describe, expect, it } from "vitest";
import { PanError, StateDictError } from "../../src/errors";
import type { HostArray, HostTensor, SafetensorsDtype, StateDict } from "../../src/io/host-tensor";
import { BatchNorm, buffer, Linear, Module, parameter, ReLU, Sequential } from "../../src/nn";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";
import { stateBytes } from "../support/tiny";

await gpu();

/** A module with these properties. */
const holding = (properties: object): Module => Object.assign(new ReLU(), properties);
const weight = () => parameter(Tensor.full([2], 1));
const linear = () => new Linear(1, 1, { bias: false });
const names = async (m: Module) => [...(await m.stateDict()).keys()];

describe("parts of a module are found in", () => {
  it.each<[string, object, string[]]>([
    ["properties", { someWeight: weight() }, ["some_weight"]],
    ["arrays", { w: [weight(), 3, null, weight()] }, ["w.0", "w.3"]],
    ["nested arrays", { w: [[weight()], [[weight()]]] }, ["w.0.0", "w.1.0.0"]],
    ["plain objects", { w: { fooBar: weight(), deep: { b: weight() } } }, ["w.fooBar", "w.deep.b"]],
    ["objects without a prototype", { w: Object.assign(Object.create(null), { a: weight() }) }, ["w.a"]],
    ["maps", { w: new Map([["a", weight()]]) }, ["w.a"]],
    ["maps with numbers as keys", { w: new Map([[7, weight()]]) }, ["w.7"]],
    ["arrays of modules", { m: [linear(), linear()] }, ["m.0.weight", "m.1.weight"]],
    [
      "objects and maps of modules",
      { a: { x: linear() }, b: new Map([["y", [linear()]]]) },
      ["a.x.weight", "b.y.0.weight"],
    ],
    ["a property named constructor", { constructor: linear() }, ["constructor.weight"]],
    ["what holds itself", { w: Object.assign([weight()], { 1: null }), o: loop() }, ["w.0"]],
  ])("%s", async (_, properties, expected) => {
    const module = holding(properties);
    expect(await names(module)).toEqual(expected);
    expect(module.parameters().length).toBe(expected.length);
    module.eval();
    expect(module.namedModules().every(([, m]) => !m.training)).toBe(true);
    module.dispose();
  });

  it("not in other objects, and own getters are asked", async () => {
    class Box {
      inside = weight();
    }
    const w = weight();
    const module = holding({ box: new Box(), bytes: new Uint8Array(4), set: new Set([1]) });
    Object.defineProperty(module, "got", { enumerable: true, get: () => w });
    expect(await names(module)).toEqual(["got"]);
  });

  it("a Sequential's own properties", async () => {
    class Net extends Sequential {
      readonly extra = linear();
    }
    expect(await names(new Net(linear()))).toEqual(["0.weight", "extra.weight"]);
    expect(await names(new Net())).toEqual(["extra.weight"]);
    expect(await names(new Sequential([linear(), new ReLU(), linear()]))).toEqual(["0.weight", "2.weight"]);
  });
});

function loop(): object {
  const o: Record<string, unknown> = {};
  o["self"] = o;
  return o;
}

describe("refused, whatever asks for the parts, is", () => {
  class Half extends Module {
    readonly kept = linear();
    readonly lost = linear();
    override *children(): Iterable<[string, Module]> {
      yield ["kept", this.kept];
    }
  }
  class Twice extends Module {
    override *children(): Iterable<[string, Module]> {
      for (let i = 0; i < 2; i++) yield ["same", linear()];
    }
  }
  class Unnamed extends Module {
    readonly kept = weight();
    readonly gone = weight();
    override *tensors(): Iterable<[string, Tensor]> {
      yield ["kept", this.kept];
    }
  }
  class Doubled extends Module {
    readonly w = weight();
    override *tensors(): Iterable<[string, Tensor]> {
      for (let i = 0; i < 2; i++) yield ["same", this.w];
    }
  }
  class Unregistered extends Module {
    override *tensors(): Iterable<[string, Tensor]> {
      yield ["stray", Tensor.full([1], 0)];
    }
  }
  class Counted extends BatchNorm {
    readonly numBatchesTracked = buffer(Tensor.full([1], 0));
  }
  const cyclic = (): Module => {
    const [outer, inner] = [holding({ w: weight() }), holding({})];
    Object.assign(inner, { parent: outer });
    return Object.assign(outer, { inner });
  };

  it.each<[string, () => Module, RegExp]>([
    [
      "two properties of one name",
      () => holding({ fooBar: weight(), foo_bar: weight() }),
      /fooBar and foo_bar.*"foo_bar"/,
    ],
    ["two modules of one name", () => holding({ aB: linear(), a_b: linear() }), /aB and a_b/],
    ["a parameter in a Set", () => holding({ w: new Set([weight()]) }), /Set/],
    ["a module deep in a Set", () => holding({ w: [{ a: new Set([[linear()]]) }] }), /w\[0\]\.a.*Set/],
    ["objects as keys", () => holding({ w: new Map([[{}, weight()]]) }), /key is a object/],
    ["a key with a dot", () => holding({ w: { "a.b": weight() } }), /dot/],
    ["a property with a dot", () => holding({ "a.b": weight() }), /dot/],
    ["an empty key", () => holding({ w: new Map([["", weight()]]) }), /empty/],
    ["a symbol", () => holding({ [Symbol("s")]: weight() }), /symbol/],
    [
      "a number and a text of one name",
      () =>
        holding({
          w: new Map<unknown, Tensor>([
            [1, weight()],
            ["1", weight()],
          ]),
        }),
      /w\.1/,
    ],
    ["a reference to the parent", cyclic, /inner\.parent leads back to/],
    ["a module that holds itself", () => selfish(), /part of itself/],
    ["what children() leaves out", () => new Half(), /lost/],
    ["children of one name", () => new Twice(), /twice/],
    ["what tensors() leaves out", () => new Unnamed(), /leaves out gone/],
    ["tensors of one name", () => new Doubled(), /twice/],
    ["a tensor that is not registered", () => new Unregistered(), /stray.*register it/],
  ])("%s", async (_, make, message) => {
    const module = make();
    for (const ask of [
      () => module.parameters(),
      () => module.eval(),
      () => [...module.namedTensors()],
      () => module.loadStateDict(new Map()),
      () => module.dispose(),
    ]) {
      expect(ask).toThrow(PanError);
      expect(ask).toThrow(message);
    }
    await expect(module.stateDict()).rejects.toThrow(message);
  });

  it("a state of the host under a tensor's name", async () => {
    await expect(new Counted(1).stateDict()).rejects.toThrow(/num_batches_tracked/);
  });

  it.each<[string, () => unknown]>([
    ["a parameter of whole numbers", () => parameter(Tensor.full([1], 1, "i32"))],
    ["a layout of another rank", () => parameter(Tensor.full([1], 1), "conv2d")],
    ["a layout that is none", () => buffer(Tensor.full([1], 1), "nhwc" as "same")],
    ["what is no tensor", () => parameter([1] as unknown as Tensor)],
  ])("%s", (_, make) => expect(make).toThrow(PanError));
});

function selfish(): Module {
  const m = holding({});
  return Object.assign(m, { self: m });
}

describe("a state dict", () => {
  it("has tied tensors under each name, and takes them only where they agree", async () => {
    const shared = weight();
    const net = holding({ a: shared, b: shared, m: linear() });
    expect(await names(net)).toEqual(["a", "b", "m.weight"]);
    expect(net.parameters().length).toBe(2);
    const dict = await net.stateDict();
    const other: HostTensor = { dtype: "F32", shape: [2], data: Float32Array.of(5, 6) };
    const before = await stateBytes(net);
    expect(() => net.loadStateDict(new Map([...dict, ["b", other]]))).toThrow(/a and b are one tensor/);
    expect(await stateBytes(net)).toEqual(before);
    net.loadStateDict(new Map([...dict, ["a", other], ["b", other]]));
    expect([...(await shared.data())]).toEqual([5, 6]);
  });

  it("keeps whole numbers whole", async () => {
    const [i, u] = [Tensor.from(Int32Array.of(16777217, -7), [2]), Tensor.from(Uint32Array.of(2 ** 32 - 1), [1])];
    const net = holding({ i: buffer(i), u: buffer(u) });
    const dict = await net.stateDict();
    expect([...dict].map(([name, { dtype, data }]) => [name, dtype, ...data])).toEqual([
      ["i", "I32", 16777217, -7],
      ["u", "U32", 2 ** 32 - 1],
    ]);
    i.fill(0);
    net.loadStateDict(dict);
    expect(await net.stateDict()).toEqual(dict);
    const half: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(0.5) };
    expect(() => net.loadStateDict(new Map([...dict, ["u", half]]))).toThrow(StateDictError);
  });

  it.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /Map from names to tensors/],
    ["null", null, /Map/],
    ["a plain object", { weight: 1 }, /new Map\(Object\.entries/],
    ["a whole file", { tensors: new Map(), metadata: {} }, /pass its `tensors`/],
    ["a text", "x", /Map/],
  ])("that is %s is refused with what to pass", (_, dict, message) => {
    expect(() => linear().loadStateDict(dict as StateDict)).toThrow(message);
  });

  it.each<[string, unknown]>([
    ["no tensor", 1],
    ["another shape", { dtype: "F32", shape: [2, 1], data: Float32Array.of(1, 2) }],
    ["fewer elements than its shape", { dtype: "F32", shape: [1, 1], data: new Float32Array(0) }],
    ["another array than its type", { dtype: "F32", shape: [1, 1], data: Float64Array.of(1) }],
    ["a type that is none", { dtype: "F31", shape: [1, 1], data: Float32Array.of(1) }],
    ["a shape that is none", { dtype: "F32", shape: 1, data: Float32Array.of(1) }],
    ["a number beyond 32-bit floats", { dtype: "F64", shape: [1, 1], data: Float64Array.of(1e300) }],
  ])("with %s changes nothing", async (_, bad) => {
    const net = new Sequential(new BatchNorm(1), new Linear(1, 1, { bias: false }));
    const before = await stateBytes(net);
    const other = new Sequential(new BatchNorm(1), new Linear(1, 1, { bias: false }));
    (other.layers[0] as BatchNorm).batchesTracked = 9;
    (other.layers[0] as BatchNorm).runningMean.fill(9);
    const dict = await other.stateDict();
    expect(() => net.loadStateDict(new Map([...dict, ["1.weight", bad as HostTensor]]) as StateDict)).toThrow(
      StateDictError,
    );
    expect(await stateBytes(net)).toEqual(before);
    expect(() => net.loadStateDict(new Map(), null as never)).toThrow(PanError);
    expect(() => net.loadStateDict(new Map(), { strickt: false } as never)).toThrow(/strickt/);
  });
});

describe("num_batches_tracked", () => {
  const typed: Partial<Record<SafetensorsDtype, HostArray>> = {
    U64: BigUint64Array.of(100n),
    I64: BigInt64Array.of(100n),
    F64: Float64Array.of(100),
    F32: Float32Array.of(100),
    U32: Uint32Array.of(100),
    I32: Int32Array.of(100),
    F16: Uint16Array.of(22080),
    BF16: Uint16Array.of(0x42c8),
    U16: Uint16Array.of(100),
    I16: Int16Array.of(100),
    I8: Int8Array.of(100),
    U8: Uint8Array.of(100),
  };
  const load = (value: HostTensor) => {
    const bn = new BatchNorm(1);
    const net = new Sequential(new BatchNorm(1), bn);
    bn.batchesTracked = 5;
    const done = {
      bn,
      net,
      load: () => net.loadStateDict(new Map([["1.num_batches_tracked", value]]), { strict: false }),
    };
    return done;
  };

  it.each(Object.entries(typed))("is 100 as %s", async (dtype, data) => {
    const { bn, net, load: go } = load({ dtype: dtype as SafetensorsDtype, shape: [], data });
    go();
    expect(bn.batchesTracked).toBe(100);
    expect((await net.stateDict()).get("1.num_batches_tracked")!.data).toEqual(BigInt64Array.of(100n));
  });

  it.each<[string, HostTensor]>([
    ["a fraction", { dtype: "F32", shape: [], data: Float32Array.of(1.5) }],
    ["NaN", { dtype: "F32", shape: [], data: Float32Array.of(Number.NaN) }],
    ["an F16 NaN", { dtype: "F16", shape: [], data: Uint16Array.of(0x7e00) }],
    ["infinite", { dtype: "BF16", shape: [], data: Uint16Array.of(0x7f80) }],
    ["negative", { dtype: "I64", shape: [], data: BigInt64Array.of(-1n) }],
    ["beyond 2^53", { dtype: "I64", shape: [], data: BigInt64Array.of(2n ** 53n) }],
    ["beyond 2^53, unsigned", { dtype: "U64", shape: [], data: BigUint64Array.of(2n ** 64n - 1n) }],
    ["two numbers", { dtype: "I64", shape: [2], data: BigInt64Array.of(1n, 2n) }],
  ])("is refused by name where it is %s", (_, value) => {
    const { bn, load: go } = load(value);
    expect(go).toThrow(StateDictError);
    expect(go).toThrow(/^1\.num_batches_tracked/);
    expect(bn.batchesTracked).toBe(5);
  });

  it("of one norm is put back when that of the next is refused", () => {
    const [a, b] = [new BatchNorm(1), new BatchNorm(1)];
    const count = (n: number): HostTensor => ({ dtype: "F32", shape: [], data: Float32Array.of(n) });
    const dict = new Map([
      ["0.num_batches_tracked", count(3)],
      ["1.num_batches_tracked", count(0.5)],
    ]);
    expect(() => new Sequential(a, b).loadStateDict(dict, { strict: false })).toThrow(StateDictError);
    expect(a.batchesTracked).toBe(0);
  });
});
