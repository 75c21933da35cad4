/** The graph that an export writes, and where in it each tensor of the traced pass is. */
import { ArgumentError } from "../errors";
import type { HostTensor } from "../io/host-tensor";
import { type Layout, TO_TORCH } from "../nn/state";
import type { Tensor } from "../tensor/tensor";
import type { TracedOp } from "../tensor/trace";
import type { Attribute, Constant, Node } from "./model";
import type { Size, Sizes } from "./sizes";

export type Op = TracedOp<Tensor>;

/**
 * In which order a value of the graph has the dimensions of a traced tensor: `order[i]` is the
 * tensor's dimension that is the value's i-th. Images are [N, H, W, C] in the trace; what ONNX's
 * convolutions give has the order [0, 3, 1, 2].
 */
export type Order = readonly number[];

/** A value of the graph. */
export interface Value {
  readonly name: string;
  readonly order: Order;
}

/** Something that other operands broadcast with: γ of a norm is one, and so is any tensor. */
export interface Operand {
  readonly rank: number;
  /** The value's name, its dimensions in some order. */
  get(order: Order): string;
}

/** The dimensions as they are. */
export const natural = (rank: number): Order => Array.from({ length: rank }, (_, d) => d);

/** Channels, the last dimension, right behind the batch. */
export const channelsFirst = (rank: number): Order => [0, rank - 1, ...natural(rank).slice(1, -1)];

const sameOrder = (a: Order, b: Order): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** What the network's own tensors, and others that it holds, are called and hold. */
export interface Held {
  readonly name: string;
  readonly layout: Layout;
  /** In PyTorch's order. */
  readonly value: HostTensor;
}

/** Nodes and constants so far, and the values of tensors. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  readonly #values = new Map<Tensor, Value[]>();
  readonly #shared = new Map<string, string>();
  readonly #taken: Set<string>;
  #batch: string | null = null;
  /** Of the operation at hand, in front of the names of its nodes. */
  label = "";
  /** What a convolution over a line gave, without the dimension that makes an image of it. */
  readonly lines = new Map<Tensor, Value>();

  /**
   * @param held the network's tensors that are there before the pass
   * @param names names that are taken
   * @param batchOf the value, and its dimension, whose size is the batch's
   */
  constructor(
    private readonly sizesOf: Sizes,
    private readonly held: ReadonlyMap<Tensor, Held>,
    private readonly makers: ReadonlyMap<Tensor, Op>,
    names: Iterable<string>,
    private readonly batchOf: { readonly name: string; readonly dim: number } | null,
  ) {
    this.#taken = new Set(names);
  }

  // nodes

  /** Adds a node. @returns the names of its outputs. */
  several(type: string, inputs: readonly string[], attributes: Node["attributes"], count: number): string[] {
    const name = this.#unique(this.label ? `${this.label}/${type}` : type);
    const outputs = Array.from({ length: count }, (_, i) => this.#unique(i ? `${name}_out${i}` : `${name}_out`));
    this.nodes.push({ type, name, inputs, outputs, attributes });
    return outputs;
  }

  /** Adds a node of one output. @returns its name. */
  node(type: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.several(type, inputs, attributes, 1)[0]!;
  }

  #unique(name: string): string {
    let free = name;
    for (let i = 1; this.#taken.has(free); i++) free = `${name}_${i}`;
    this.#taken.add(free);
    return free;
  }

  // constants

  /** A constant of floats. */
  floats(data: Float32Array | readonly number[], shape: readonly number[] = [data.length]): string {
    return this.#constant({ type: "float", shape, data: Float32Array.from(data) });
  }

  /** One number. */
  scalar(value: number): string {
    return this.floats([value], []);
  }

  /** A constant of whole numbers. */
  integers(data: ArrayLike<number>, shape: readonly number[] = [data.length]): string {
    return this.#constant({ type: "int64", shape, data: BigInt64Array.from(Array.from(data), BigInt) });
  }

  flags(data: readonly boolean[], shape: readonly number[]): string {
    return this.#constant({ type: "bool", shape, data: Uint8Array.from(data, Number) });
  }

  /** Equal small constants are one. */
  #constant(constant: Constant): string {
    const { type, shape, data } = constant;
    const isSmall = data.byteLength <= 1024;
    const key = isSmall ? `${type} ${shape} ${Array.from(data as ArrayLike<unknown>, showBits)}` : "";
    const known = isSmall ? this.#shared.get(key) : undefined;
    if (known !== undefined) return known;
    const name = this.#unique("constant");
    this.constants.set(name, constant);
    if (isSmall) this.#shared.set(key, name);
    return name;
  }

  // tensors

  sizes(t: Tensor): readonly Size[] {
    return this.sizesOf.sizes(t);
  }

  /** A size that goes with no batch. @throws ArgumentError for one that does. */
  size(op: Op, t: Tensor, d: number): number {
    const size = this.sizes(t)[d]!;
    if (typeof size === "number") return size;
    return this.refuse(op, `along the batch cannot be exported for batches of any size: give { batch: "fixed" }`);
  }

  /** Sizes as a value: constants, and multiples of the batch that comes. */
  shape(sizes: readonly Size[]): string {
    if (sizes.every((size) => typeof size === "number")) return this.integers(sizes);
    const parts = sizes.map((size) => (typeof size === "number" ? this.integers([size]) : this.#items(size.perItem)));
    return parts.length === 1 ? parts[0]! : this.node("Concat", parts, { axis: 0 });
  }

  #items(perItem: number): string {
    if (this.#batch === null) {
      const { name, dim } = this.batchOf!;
      this.#batch = this.node("Slice", [
        this.node("Shape", [name]),
        ...[[dim], [dim + 1], [0]].map((n) => this.integers(n)),
      ]);
    }
    return perItem === 1 ? this.#batch : this.node("Mul", [this.#batch, this.integers([perItem])]);
  }

  /** Says where a tensor is. */
  set(t: Tensor, name: string, order: Order = natural(t.rank)): void {
    const known = this.#values.get(t);
    if (known) known.push({ name, order });
    else this.#values.set(t, [{ name, order }]);
  }

  /** Gives a tensor the values of another, in orders of its own. */
  alias(t: Tensor, of: Tensor, order: (order: Order) => Order = (o) => o): void {
    for (const value of this.values(of)) this.set(t, value.name, order(value.order));
  }

  /** Where a tensor is, in all orders that there are; the first is the one it was computed in. */
  values(t: Tensor): readonly Value[] {
    const known = this.#values.get(t);
    if (known) return known;
    // Whatever is asked for has been looked for: see ./held.ts.
    const { name, layout, value } = this.held.get(t)!;
    this.constants.set(name, constantOf(value));
    this.set(t, name, layout === "same" ? natural(t.rank) : TO_TORCH[layout]);
    return this.#values.get(t)!;
  }

  /** The order in which a tensor was computed. */
  orderOf(t: Tensor): Order {
    return this.values(t)[0]!.order;
  }

  /** Whether a tensor is a constant. */
  isConstant(t: Tensor): boolean {
    return this.constants.has(this.values(t)[0]!.name);
  }

  /** The value of a tensor in an order, by default the one it was computed in. */
  get(t: Tensor, order: Order = this.orderOf(t)): string {
    const values = this.values(t);
    const known = values.find((value) => sameOrder(value.order, order));
    if (known) return known.name;
    const [from] = values as [Value];
    const name = this.node("Transpose", [from.name], { perm: order.map((d) => from.order.indexOf(d)) });
    this.set(t, name, order);
    return name;
  }

  /** A tensor as an operand. */
  operand = (t: Tensor): Operand => ({ rank: t.rank, get: (order) => this.get(t, order) });

  /** An operand such that it broadcasts with values of `rank` dimensions in an order. */
  aligned({ rank: own, get }: Operand, rank: number, order: Order): string {
    const missing = rank - own;
    if (missing === 0) return get(order);
    const name = get(order.filter((d) => d >= missing).map((d) => d - missing));
    // Dimensions that are missing in front are ONNX's to add; those in between are added here.
    const first = order.findIndex((d) => d >= missing);
    const axes = order.flatMap((d, i) => (d < missing && i > first && first >= 0 ? [i - first] : []));
    return axes.length ? this.node("Unsqueeze", [name, this.integers(axes)]) : name;
  }

  /** The order of what is computed of several tensors that broadcast to `rank` dimensions. */
  common(tensors: readonly Tensor[], rank: number): Order {
    const whole = tensors.filter((t) => t.rank === rank);
    const leading = whole.find((t) => !this.isConstant(t)) ?? whole[0];
    return leading ? this.orderOf(leading) : natural(rank);
  }

  /** The operation that gave a tensor. */
  makerOf(t: Tensor): Op | undefined {
    return this.makers.get(t);
  }

  /** @throws ArgumentError: this operation, as it is here, cannot be written. */
  refuse({ name, out }: Op, why: string): never {
    const at = this.label ? ` of ${this.label}` : "";
    throw new ArgumentError(`exportOnnx: "${name}"${at}, which gives [${out.shape}], ${why}`);
  }
}

/** −0 and 0 are two constants. */
const showBits = (value: unknown): string => (Object.is(value, -0) ? "-0" : String(value));

/** Whole numbers are of 64 bits throughout, as PyTorch's exports have them. */
export function constantOf({ dtype, shape, data }: HostTensor): Constant {
  if (dtype === "F32") return { type: "float", shape, data: data as Float32Array };
  return { type: "int64", shape, data: BigInt64Array.from(Array.from(data as ArrayLike<number>), BigInt) };
}
