/**
 * How a kernel is described: a typed specification (structure: what is compiled in) turned into
 * WGSL, the storage buffers it binds, the scalars it takes a dispatch (sizes: what is *not*
 * compiled in), and its dispatch size.
 */

/** How a storage buffer is bound: read only, or read and written. */
export type Access = "read" | "write";

/**
 * A storage binding: its access and the WGSL element type of the runtime-sized array (default
 * `f32`).
 */
export interface Binding {
  readonly access: Access;
  readonly type?: "f32" | "vec4f" | "i32" | "u32" | "vec2f" | "vec2u" | "vec4u" | "atomic<u32>";
}

export type ParamType = "u32" | "i32" | "f32";

/** What the WGSL generator may know of the device. */
export interface Caps {
  /** The adapter's class; a discrete GPU and a software adapter want different tiles. */
  readonly adapter: "hardware" | "lavapipe" | "swiftshader" | "software";
  /**
   * Size of a subgroup when the adapter has exactly one size and offers subgroups to WGSL, else 0.
   */
  readonly subgroupSize: number;
  readonly maxInvocations: number;
  readonly maxStorageBuffers: number;
}

/**
 * How matrix products and convolutions are computed:
 * - `workgroup`: blocks staged in workgroup memory, for graphics processors
 *   (`shaders/products/blocks.wgsl.ts`); small products take the registers' form;
 * - `subgroup`: one operand handed round a small subgroup, for software adapters
 *   (`shaders/products/registers.wgsl.ts`);
 * - `registers`: the same without subgroups.
 */
export type Tiling = "workgroup" | "subgroup" | "registers";

/** What operands of products are rounded to before they are multiplied; sums are always f32. */
export type Precision = "f32" | "f16";

/** What the choice of a product's kernel depends on besides. */
export interface ProductCaps extends Caps {
  readonly tiling: Tiling;
  readonly precision: Precision;
  /** Winograd's method for the 3×3 convolutions it can do: always, never, or where it is faster. */
  readonly winograd: boolean | "auto";
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
}

/** Number of workgroups along x, y and z. */
export type Workgroups = readonly [x: number, y: number, z: number];

type Names<T> = Extract<keyof T, string>;

/** A family of compute pipelines, one for each specification. */
export interface Kernel<Spec, B extends string = string, P extends string = string> {
  readonly name: string;
  /** Distinguishes specifications; pipelines are cached under `name` and this key. */
  readonly key: (spec: Spec) => string;
  /** Storage bindings, in binding order. */
  readonly bindings: (spec: Spec) => Readonly<Record<B, Binding>>;
  /** Scalars a dispatch: `p.NAME` in WGSL. */
  readonly params: (spec: Spec) => Readonly<Record<P, ParamType>>;
  /** Body after the generated declarations of bindings and `p`. */
  readonly body: (spec: Spec, caps: Caps) => string;
  /** WGSL extensions to enable. */
  readonly enables?: (spec: Spec, caps: Caps) => readonly string[];
  readonly workgroups: (spec: Spec, params: Readonly<Record<P, number>>, caps: Caps) => Workgroups;
  /**
   * Multiplications and additions of one dispatch, where they and not memory are what it takes time
   * for.
   */
  readonly operations?: (spec: Spec, params: Readonly<Record<P, number>>) => number;
  /**
   * Numbers that its invocations load from buffers, all together, where that is counted: what binds
   * software adapters.
   */
  readonly loads?: (spec: Spec, params: Readonly<Record<P, number>>) => number;
}

/**
 * Gives a kernel its types from one literal. Calls are annotated as pure: bundlers leave out the
 * kernels that nobody runs.
 */
export function defineKernel<
  Spec,
  const B extends Record<string, Binding>,
  const P extends Record<string, ParamType>,
>(k: {
  name: string;
  key: (spec: Spec) => string;
  bindings: B | ((spec: Spec) => B);
  params: P | ((spec: Spec) => P);
  body: (spec: Spec, caps: Caps) => string;
  enables?: (spec: Spec, caps: Caps) => readonly string[];
  workgroups: (spec: Spec, params: Readonly<Record<Names<P>, number>>, caps: Caps) => Workgroups;
  operations?: (spec: Spec, params: Readonly<Record<Names<P>, number>>) => number;
  loads?: (spec: Spec, params: Readonly<Record<Names<P>, number>>) => number;
}): Kernel<Spec, Names<B>, Names<P>> {
  const { bindings, params } = k;
  return {
    ...k,
    bindings: (typeof bindings === "function" ? bindings : () => bindings) as (spec: Spec) => Record<Names<B>, Binding>,
    params: (typeof params === "function" ? params : () => params) as (spec: Spec) => Record<Names<P>, ParamType>,
  } as Kernel<Spec, Names<B>, Names<P>>;
}

/** Invocations of a workgroup in kernels where every invocation is on its own. */
export const LINEAR = 64;

/**
 * WGSL: declares `index`, the linear number of this invocation, and leaves `main` when it is not
 * below `count`.
 */
export const linearIndex = (count: string, size = LINEAR) => /* wgsl */ `
  let index = (wid.y * grid.x + wid.x) * ${size}u + lid;
  if (index >= ${count}) { return; }`;

/** WGSL: the entry point's head for {@link linearIndex}. */
export const linearMain = (size = LINEAR) => /* wgsl */ `
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32)`;

/**
 * WGSL: declares `name(x)`, true where x is NaN. It tests bits: WGSL lets a compiler assume that
 * floats are never NaN, and built-in functions may make a number of one (SwiftShader: exp(NaN) = ∞,
 * max(NaN, 0) = 0, log(NaN) = 89).
 */
export const nanTest = (type: "f32" | "vec4f", name = "isNan") =>
  type === "f32"
    ? `fn ${name}(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }`
    : `fn ${name}(x: vec4f) -> vec4<bool> { return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u); }`;

/** Workgroups for `count` independent invocations, folded over two dimensions past 65,535. */
export function linearGrid(count: number, size = LINEAR): Workgroups {
  return foldGrid(Math.ceil(count / size));
}

/**
 * `groups` workgroups laid over x and y so that neither passes 65,535; `wid.y * grid.x + wid.x` may
 * exceed `groups`.
 */
export function foldGrid(groups: number, z = 1): Workgroups {
  if (groups <= 65_535) return [groups, 1, z];
  const y = Math.ceil(groups / 65_535);
  return [Math.ceil(groups / y), y, z];
}

/** The complete WGSL module of a kernel: extensions, bindings, parameters, body. */
export function moduleSource<S, B extends string, P extends string>(
  kernel: Kernel<S, B, P>,
  spec: S,
  caps: Caps,
  immediates: boolean,
): string {
  const enables = kernel.enables?.(spec, caps) ?? [];
  const bindings = Object.entries<Binding>(kernel.bindings(spec));
  const names = Object.entries<ParamType>(kernel.params(spec));
  const lines: string[] = [];
  if (immediates && names.length) lines.push("requires immediate_address_space;");
  for (const e of enables) lines.push(`enable ${e};`);
  bindings.forEach(([name, b], i) => {
    const mode = b.access === "read" ? "read" : "read_write";
    lines.push(`@group(0) @binding(${i}) var<storage, ${mode}> ${name}: array<${b.type ?? "f32"}>;`);
  });
  if (names.length) {
    lines.push(`struct Params { ${names.map(([n, t]) => `${n}: ${t}`).join(", ")} }`);
    lines.push(
      immediates ? "var<immediate> p: Params;" : `@group(0) @binding(${bindings.length}) var<uniform> p: Params;`,
    );
  }
  return lines.join("\n") + "\n" + kernel.body(spec, caps);
}
