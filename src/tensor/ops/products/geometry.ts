import type { ConvShape } from "../../../../shaders/products/conv-registers.wgsl";
import { ArgumentError, ShapeError } from "../../../errors";
import { type Pair, type Shape, showShape } from "../../shape";
import { expectOptions, expectScalar, expectWhole, expectWord, pairOf } from "../operands";
import { windowCount } from "../windows";

/** Options of a 2-D convolution. */
export interface ConvOptions {
  /** Step between output positions (default 1). */
  stride?: Pair;
  /**
   * Zeros around the input (default 0), on both sides of each axis. `"valid"` is 0. `"same"` has an
   * output of the input's size, for stride 1: dilation · (kernel − 1) zeros an axis, of which an
   * odd one goes to the right or below.
   */
  padding?: Pair | "same" | "valid";
  /** Distance between taps (default 1). */
  dilation?: Pair;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
}

/** Options of a 1-D convolution: those of {@link ConvOptions}, along one axis. */
export interface LineConvOptions {
  /** Step between output positions (default 1). */
  stride?: number;
  /**
   * Zeros on both sides of the input (default 0); `"same"` and `"valid"` as in {@link ConvOptions}.
   */
  padding?: number | "same" | "valid";
  /** Distance between taps (default 1). */
  dilation?: number;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
}

/** A 2-D convolution with all its sizes. */
export interface Geometry extends ConvShape {
  readonly n: number;
  /** Input and output height and width. */
  readonly in: readonly [number, number];
  readonly out: readonly [number, number];
  /** Channels of a group. */
  readonly i: number;
  readonly o: number;
  readonly groups: number;
  /** Above and to the left; `out` tells how far the windows reach on the other sides. */
  readonly padding: readonly [number, number];
}

/** @throws ShapeError, ArgumentError for shapes and options that make no convolution. */
export function geometryOf(op: string, x: Shape, w: Shape, options: ConvOptions): Geometry {
  expectOptions(op, options);
  if (x.length !== 4 || w.length !== 4) {
    throw new ShapeError(
      `${op}: x [N, H, W, I] and w [kH, kW, I/groups, O] expected, found ${showShape(x)} and ${showShape(w)}`,
    );
  }
  const [n, h, width, c] = x as [number, number, number, number];
  const [kh, kw, i, o] = w as [number, number, number, number];
  const kernel = pairOf(op, "the weight's kernel", [kh, kw], 1, ShapeError);
  const stride = pairOf(op, "stride", options.stride ?? 1, 1, ShapeError);
  const dilation = pairOf(op, "dilation", options.dilation ?? 1, 1, ShapeError);
  const { groups = 1 } = options;
  expectWhole(op, "groups", groups, 1, ShapeError);
  if (c !== i * groups || o % groups !== 0) {
    throw new ShapeError(
      `${op}: input with ${c} channels, weight for ${i}·groups = ${i * groups}, ${o} outputs over ${groups} groups: channels must be groups times the weight's third size, outputs divisible by groups`,
    );
  }
  const { padding, out } = placement(op, [h, width], kernel, stride, dilation, options.padding ?? 0);
  if (out[0] < 1 || out[1] < 1) {
    throw new ShapeError(
      `${op}: a ${kh}×${kw} kernel with dilation ${dilation} does not fit into ${h}×${width} with padding ${padding}`,
    );
  }
  return { n, in: [h, width], out, i, o: o / groups, groups, kernel, stride, dilation, padding };
}

/**
 * Options of {@link conv1d} as those of a convolution over [1, L].
 * @throws ArgumentError for a pair of numbers.
 */
export function asPlane(op: string, options: ConvOptions): ConvOptions {
  expectOptions(op, options);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const along = (name: string, value: unknown, none: number): Pair => {
    expectScalar(op, name, value);
    return [none, value as number];
  };
  return {
    stride: along("stride", stride, 1),
    padding: typeof padding === "string" ? padding : along("padding", padding, 0),
    dilation: along("dilation", dilation, 1),
    groups,
  };
}

type Both = readonly [number, number];

/** Zeros above and to the left, and sizes of the output. */
function placement(
  op: string,
  size: Both,
  kernel: Both,
  stride: Both,
  dilation: Both,
  padding: Pair | "same" | "valid",
): { padding: Both; out: Both } {
  if (padding === "same") {
    if (stride[0] !== 1 || stride[1] !== 1)
      throw new ArgumentError(`${op}: padding "same" is for stride 1, found stride [${stride}]: give it in numbers`);
    const before = (d: 0 | 1) => Math.floor((dilation[d] * (kernel[d] - 1)) / 2);
    return { padding: [before(0), before(1)], out: size };
  }
  if (typeof padding === "string") expectWord(op, "padding", padding, ["same", "valid"]);
  const around = pairOf(op, "padding", typeof padding === "string" ? 0 : padding, 0, ShapeError);
  const count = (d: 0 | 1) => windowCount(size[d], kernel[d], stride[d], around[d], dilation[d]);
  return { padding: around, out: [count(0), count(1)] };
}
