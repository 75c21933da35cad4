import type { ConvShape } from "../../../../shaders/products/conv-registers.wgsl";
import { ShapeError } from "../../../errors";
import { type Pair, type Shape, showShape } from "../../shape";
import { expectOptions, expectWhole, pairOf } from "../operands";
import { paddingOf, type Sides } from "../padding";
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

/** Names of the options of convolutions. */
export const CONV_OPTIONS = ["stride", "padding", "dilation", "groups"] as const;

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
  expectOptions(op, options, CONV_OPTIONS);
  if (x.length !== 4 || w.length !== 4) {
    throw new ShapeError(
      `${op}: x [N, H, W, I] and w [kH, kW, I/groups, O] expected, found ${showShape(x)} and ${showShape(w)}`,
    );
  }
  const [n, h, width, c] = x as [number, number, number, number];
  const [kh, kw, i, o] = w as [number, number, number, number];
  const kernel = pairOf(op, "the weight's kernel", [kh, kw], 1, ShapeError);
  const stride = pairOf(op, "stride", options.stride ?? 1, 1);
  const dilation = pairOf(op, "dilation", options.dilation ?? 1, 1);
  const { groups = 1 } = options;
  expectWhole(op, "groups", groups, 1);
  if (c !== i * groups || o % groups !== 0) {
    throw new ShapeError(
      `${op}: input with ${c} channels, weight for ${i}·groups = ${i * groups}, ${o} outputs over ${groups} groups: channels must be groups times the weight's third size, outputs divisible by groups`,
    );
  }
  const { sides } = paddingOf(op, options.padding ?? 0, { kernel, stride, dilation });
  const [[above, below], [left, right]] = sides as readonly [Sides, Sides];
  const padding = [above, left] as const;
  const count = (d: 0 | 1, size: number, around: number) =>
    windowCount(size + around, kernel[d], stride[d], 0, dilation[d]);
  const out = [count(0, h, above + below), count(1, width, left + right)] as const;
  if (out[0] < 1 || out[1] < 1) {
    throw new ShapeError(
      `${op}: a ${kh}×${kw} kernel with dilation ${dilation} does not fit into ${h}×${width} with padding ${padding}`,
    );
  }
  return { n, in: [h, width], out, i, o: o / groups, groups, kernel, stride, dilation, padding };
}

/**
 * Options of {@link conv1d} as those of a convolution over [1, L].
 * @throws ArgumentError for a pair of numbers, and sizes that are none.
 */
export function asPlane(op: string, options: ConvOptions): ConvOptions {
  expectOptions(op, options, CONV_OPTIONS);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const along = (name: string, value: unknown, none: 0 | 1): Pair => [none, expectWhole(op, name, value, none)];
  return {
    stride: along("stride", stride, 1),
    padding: typeof padding === "string" ? padding : along("padding", padding, 0),
    dilation: along("dilation", dilation, 1),
    groups,
  };
}
