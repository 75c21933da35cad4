import type { ConvShape } from "../../../../shaders/products/conv-registers.wgsl";
import type { Device } from "../../../gpu/device";
import type { Tensor } from "../../tensor";
import type { Geometry } from "./geometry";

/** The three passes of a convolution. */
export type ConvPass = "forward" | "input" | "weight";

/** One way of computing a convolution, of which nothing is empty. */
export interface ConvStrategy {
  /** Whether it is the one for a pass, unless one before it in the list is. */
  fits(device: Device, geometry: Geometry, pass: ConvPass): boolean;
  /** Whether it can add gradients to what is there. */
  readonly adds: boolean;
  /** y [N, H', W', O] of x [N, H, W, I], w [kH, kW, I/groups, O] and bias [O]. */
  forward(x: Tensor, w: Tensor, bias: Tensor | null, geometry: Geometry): Tensor;
  /** dx [N, H, W, I] of dy [N, H', W', O] and w, or `sum` with that added to it. */
  inputGradient(dy: Tensor, w: Tensor, geometry: Geometry, sum: Tensor | null): Tensor;
  /** dw [kH, kW, I/groups, O] of x and dy, or `sum` with that added to it. */
  weightGradient(x: Tensor, dy: Tensor, geometry: Geometry, sum: Tensor | null): Tensor;
}

/** One side of a convolution: height and width, and channels of a group. */
interface Side {
  readonly size: readonly [number, number];
  readonly channels: number;
}

/** Every pixel of `to` gathers from the pixels of `from` that its taps reach. */
export interface Gather {
  readonly mode: "forward" | "input";
  readonly to: Side;
  readonly from: Side;
}

const input = (g: Geometry): Side => ({ size: g.in, channels: g.i });
const output = (g: Geometry): Side => ({ size: g.out, channels: g.o });

export const forwardGather = (g: Geometry): Gather => ({ mode: "forward", to: output(g), from: input(g) });
export const inputGather = (g: Geometry): Gather => ({ mode: "input", to: input(g), from: output(g) });

/** What of a convolution is compiled in. */
export const structureOf = ({ kernel, stride, dilation }: Geometry): ConvShape => ({ kernel, stride, dilation });

export const gatheredShape = (g: Geometry, { to }: Gather) => [g.n, ...to.size, to.channels * g.groups];

export const weightShape = (g: Geometry) => [...g.kernel, g.i, g.o * g.groups];

/** Sizes for the kernels of a forward pass or an input gradient. */
export const gatherSizes = (g: Geometry, { to, from }: Gather) => ({
  pixels: g.n * to.size[0] * to.size[1],
  dstH: to.size[0],
  dstW: to.size[1],
  srcH: from.size[0],
  srcW: from.size[1],
  srcK: from.channels,
  dstN: to.channels,
  groups: g.groups,
  padY: g.padding[0],
  padX: g.padding[1],
});

/** Sizes for the kernels of a weight gradient. */
export const weightSizes = (g: Geometry) => ({
  pixels: g.n * g.out[0] * g.out[1],
  dyH: g.out[0],
  dyW: g.out[1],
  xH: g.in[0],
  xW: g.in[1],
  i: g.i,
  o: g.o,
  groups: g.groups,
  padY: g.padding[0],
  padX: g.padding[1],
});
