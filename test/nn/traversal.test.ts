import { PointNet } from "@pan/core/models";
import { BatchNorm, Linear, Module, ReLU, Sequential } from "@pan/core/nn";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { buffer, type ModuleChild, parameter } from "../../src/nn";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

await gpu();

class Net extends Module {
  readonly first = new Linear(2, 3);
  readonly norms = [new BatchNorm(3), new BatchNorm(3)];
  readonly head = new Sequential(new Linear(3, 2, { bias: false }), new ReLU());
  /** The same under a second name. */
  readonly tied = this.first;
  readonly scale = parameter(Tensor.full([5], 1));
  readonly key = buffer(Tensor.full([7], 1));
}

describe("visit", () => {
  it("goes through modules, then their own tensors, then what is below, and leaves in the other order", () => {
    const net = new Net();
    const stops: string[] = [];
    net.visit({
      module: (m, { path, name, parent }) =>
        void stops.push(`${path}:${name} ${m.constructor.name} in ${parent?.constructor.name ?? "nothing"}`),
      tensor: (t, { path, parent, kind, layout }) =>
        void stops.push(`${path} ${kind} ${layout} ${t.size} of ${parent.constructor.name}`),
      leave: (_, { path }) => void stops.push(`leave ${path}`),
    });
    expect(stops.slice(0, 7)).toEqual([
      ": Net in nothing",
      "scale parameter same 5 of Net",
      "key buffer same 7 of Net",
      "first:first Linear in Net",
      "first.weight parameter linear 6 of Linear",
      "first.bias parameter same 3 of Linear",
      "leave first",
    ]);
    expect(stops).toContain("norms.1:norms.1 BatchNorm in Net");
    expect(stops).toContain("norms.1.running_var buffer same 3 of BatchNorm");
    expect(stops).toContain("tied.weight parameter linear 6 of Linear");
    expect(stops.at(-1)).toBe("leave ");
  });

  it("stops nowhere where it cannot go all the way", () => {
    const net = Object.assign(new Net(), { back: [] as Module[] });
    net.back.push(net);
    const stops: Module[] = [];
    expect(() => net.visit({ module: (m) => void stops.push(m) })).toThrow(ArgumentError);
    expect(stops).toEqual([]);
    expect(() => net.visit(undefined as never)).toThrow(/visit: a visitor .* expected, found undefined/);
  });

  it("names, parameters and counts are what it meets", () => {
    const net = new Net();
    expect(net.namedModules().map(([name]) => name)).toEqual([
      ...["", "first", "norms.0", "norms.1", "head", "head.0", "head.1", "tied"],
    ]);
    expect(net.namedParameters().map(([name]) => name)).toEqual([
      ...["scale", "first.weight", "first.bias", "norms.0.weight", "norms.0.bias", "norms.1.weight", "norms.1.bias"],
      ...["head.0.weight", "tied.weight", "tied.bias"],
    ]);
    // Tied ones once.
    expect(net.parameters().length).toBe(8);
    expect(net.parameterCount()).toBe(5 + 6 + 3 + 4 * 3 + 6);
    expect(new ReLU().parameterCount()).toBe(0);
    expect(() => net.parameterCount({ frozen: true } as never)).toThrow(/no option "frozen"/);
  });
});

describe("a property called as a method of every module is", () => {
  const methods = Object.getOwnPropertyNames(Module.prototype).filter(
    (name) => !/^(constructor|visit|toString)$/.test(name),
  );
  it.each(methods)("%s is refused by that name", (name) => {
    const net = new Sequential(Object.assign(new Linear(2, 2), { [name]: false }));
    expect(() => net.parameters()).toThrow(new RegExp(`at 0: its property ${name} hides the method`));
    expect(() => net.parameters()).toThrow(ArgumentError);
  });

  it("is free where the method is nobody's to call, or where it is one", async () => {
    const net = Object.assign(new Linear(2, 2), {
      state: parameter(Tensor.from([1, 2], [2])),
      loaded: () => undefined,
    });
    const state = await net.stateDict();
    expect([...state.keys()]).toEqual(["weight", "bias", "state"]);
    expect(net.loadStateDict(state)).toEqual({ missing: [], unexpected: [] });
  });
});

describe("find", () => {
  it("gives the modules of a class with their names", () => {
    const net = new Net();
    expect(net.find(BatchNorm)).toEqual([
      ["norms.0", net.norms[0]],
      ["norms.1", net.norms[1]],
    ]);
    expect(net.find(Net)).toEqual([["", net]]);
    expect(net.find(Linear).map(([name, { outFeatures }]) => [name, outFeatures])).toEqual([
      ["first", 3],
      ["head.0", 2],
      ["tied", 3],
    ]);
    // Abstract classes and those of other files too; none where there is none.
    expect(net.find(Module).length).toBe(net.namedModules().length);
    expect(net.find(PointNet)).toEqual([]);
    for (const none of ["BatchNorm", () => 1, undefined, {}])
      expect(() => net.find(none as never)).toThrow(/find: its argument is a class of modules, found/);
  });
});

describe("freeze", () => {
  const frozen = (net: Module) => net.namedParameters().flatMap(([name, p]) => (p.requiresGrad ? [] : [name]));
  const NORMS = ["norms.0.weight", "norms.0.bias", "norms.1.weight", "norms.1.bias"];

  it.each<[string, Parameters<Module["freeze"]>[0], string[]]>([
    ["a parameter", "scale", ["scale"]],
    ["a module", "norms.0", ["norms.0.weight", "norms.0.bias"]],
    ["modules of an array", "norms", NORMS],
    ["any characters", "norms.*.bias", ["norms.0.bias", "norms.1.bias"]],
    ["any characters, dots too", "*bias", ["first.bias", "norms.0.bias", "norms.1.bias", "tied.bias"]],
    [
      "no part of a name",
      "*.weight",
      ["first.weight", "norms.0.weight", "norms.1.weight", "head.0.weight", "tied.weight"],
    ],
    ["what is tied, by either name", "tied", ["first.weight", "first.bias", "tied.weight", "tied.bias"]],
    ["regular expressions", /^norms\.\d/, NORMS],
    ["regular expressions that remember", /norms/gy, NORMS],
    ["functions", (name, p) => p.size === 3 && name.startsWith("norms.0"), ["norms.0.weight", "norms.0.bias"]],
  ])("takes %s", (_, which, expected) => {
    const net = new Net();
    expect(net.freeze(which)).toBe(net);
    expect(frozen(net)).toEqual(expected);
    expect(net.unfreeze(which)).toBe(net);
    expect(frozen(net)).toEqual([]);
  });

  it("takes all, again and again, and buffers never", () => {
    const net = new Net();
    net.freeze().freeze();
    expect(net.parameterCount({ trainable: true })).toBe(0);
    net.unfreeze("head");
    expect(net.parameterCount({ trainable: true })).toBe(6);
    net.unfreeze();
    expect(net.parameterCount({ trainable: true })).toBe(net.parameterCount());
    expect(net.key.requiresGrad).toBe(false);
    expect(() => new ReLU().freeze()).not.toThrow();
  });

  it.each<[string, unknown, RegExp]>([
    [
      "a name of nothing",
      "conv",
      /^freeze: "conv" means no parameter .*its parameters are scale, first\.weight, .*tied\.bias/,
    ],
    ["half a name", "firs", /"firs" means no parameter/],
    ["a buffer", "key", /means no parameter/],
    ["characters that mean something elsewhere", "norms.[01]", /means no parameter/],
    ["an expression", /conv\d/, /freeze: \/conv\\+d\/ means no parameter/],
    ["a function", () => false, /means no parameter/],
    ["a function that does not answer", () => undefined, /what its function returns is true or false/],
    ["an asynchronous one", async () => true, /found a Promise/],
    ["null", null, /a name, a regular expression or a function/],
    ["a class", Linear, /find\(Linear\) gives the modules of a class/],
  ])("refuses %s, and freezes nothing", (_, which, message) => {
    const net = new Net();
    expect(() => net.freeze(which as string)).toThrow(ArgumentError);
    expect(() => net.freeze(which as string)).toThrow(message);
    expect(frozen(net)).toEqual([]);
    expect(() => net.unfreeze(which as string)).toThrow(/./);
  });

  it("frees gradients", () => {
    const net = new Net();
    net.scale.backward(Tensor.full([5], 1));
    expect(net.scale.grad).not.toBeNull();
    net.freeze("scale");
    expect(net.scale.grad).toBeNull();
  });
});

it("a child's parts may be named behind an underscore, tensors and counts, at any depth", async () => {
  class Marked extends Module {
    readonly norm = new BatchNorm(3);
    readonly both = new Sequential(new Linear(2, 3, { bias: false }));
    override *children(): Iterable<ModuleChild> {
      for (const [name, child] of super.children()) yield [name, child, "_"];
    }
    forward(x: Tensor): Tensor {
      return x;
    }
  }
  const net = new Sequential(new Marked());
  const names = ["norm_weight", "norm_bias", "norm_running_mean", "norm_running_var", "both_0.weight"];
  expect(net.namedTensors().map(([name]) => name)).toEqual(names.map((name) => `0.${name}`));
  expect(net.namedModules().map(([path]) => path)).toEqual(["", "0", "0.norm", "0.both", "0.both_0"]);
  const state = await net.stateDict();
  expect([...state.keys()]).toContain("0.norm_num_batches_tracked");
  expect(net.loadStateDict(state)).toEqual({ missing: [], unexpected: [] });
});
