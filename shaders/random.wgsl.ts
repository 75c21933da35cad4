import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** Key words of injection number k: the schedule turns by one place every four rounds. */
const injection = (k: number) => {
  const word = (i: number) => ["key.x", "key.y", "parity"][i % 3]!;
  return `  v += vec2u(${word(k)}, ${word(k + 1)} + ${k}u);`;
};

/** Four rounds of Threefry: add, rotate, exclusive or. */
const fourRounds = (first: number) =>
  [0, 1, 2, 3]
    .map((i) => ROTATIONS[(first + i) % 8]!)
    .map((r) => `  v.x += v.y; v.y = ((v.y << ${r}u) | (v.y >> ${32 - r}u)) ^ v.x;`)
    .join("\n");

/**
 * WGSL: Threefry-2x32 with 20 rounds, bit for bit `threefry2x32` of src/tensor/random.ts.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
const threefry = `
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let parity = 0x1bd11bdau ^ key.x ^ key.y;
  var v = counter + key;
${[0, 1, 2, 3, 4].map((k) => `${fourRounds(4 * k)}\n${injection(k + 1)}`).join("\n")}
  return v;
}

/// Words 4i to 4i + 3 of a draw.
fn fourWords(key: vec2u, draw: u32, i: u32) -> vec4u {
  return vec4u(threefry(key, vec2u(2u * i, draw)), threefry(key, vec2u(2u * i + 1u, draw)));
}

/// u = ⌊word / 2⁸⌋ · 2⁻²⁴, exact.
fn unit(words: vec4u) -> vec4f { return vec4f(words >> vec4u(8u)) * ${2 ** -24}; }
`;

/**
 * WGSL: four values from number `index`; `p.a` and `p.b` are the distribution's constants.
 * normal is Box–Muller, two words per value; a word read as a signed number is its angle in [−π,
 * π), where WGSL bounds the error of cos.
 */
const DISTRIBUTION = {
  uniform: "p.a + (p.b - p.a) * unit(fourWords(key, p.draw, index))",
  bernoulli: "select(vec4f(), vec4f(1.0), unit(fourWords(key, p.draw, index)) < vec4f(p.a))",
  normal: "p.a + p.b * normals(fourWords(key, p.draw, 2u * index), fourWords(key, p.draw, 2u * index + 1u))",
} as const;

export type Distribution = keyof typeof DISTRIBUTION;

const VEC = { type: "vec4f" } as const;

/**
 * y = independent values of a distribution, four per invocation. `state` holds the key in its first
 * two words; `n4` vectors.
 */
export const randomKernel = /* @__PURE__ */ defineKernel({
  name: "random",
  key: (d: Distribution) => d,
  bindings: { state: { access: "read", type: "u32" }, y: { access: "write", ...VEC } },
  params: { n4: "u32", draw: "u32", a: "f32", b: "f32" },
  body: (d) => wgsl`
${threefry}
fn normals(first: vec4u, second: vec4u) -> vec4f {
  let radius = vec4f(vec4u(first.xz, second.xz)) + 1.0;
  let angle = vec4f(bitcast<vec4i>(vec4u(first.yw, second.yw)));
  // Next to 1 a driver's logarithm may be above 0.
  return sqrt(max(-2.0 * log(radius * ${2 ** -32}), vec4f())) * cos(angle * ${(2 * Math.PI) / 2 ** 32});
}

${linearMain()} {
  ${linearIndex("p.n4")}
  let key = vec2u(state[0], state[1]);
  y[index] = ${DISTRIBUTION[d]};
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y = random words; `n4` is a quarter of their number, rounded up. */
export const randomWordsKernel = /* @__PURE__ */ defineKernel({
  name: "random-words",
  key: () => "",
  bindings: { state: { access: "read", type: "u32" }, y: { access: "write", type: "u32" } },
  params: { n4: "u32", draw: "u32" },
  body: (_: null) => wgsl`
${threefry}
${linearMain()} {
  ${linearIndex("p.n4")}
  let words = fourWords(vec2u(state[0], state[1]), p.draw, index);
  for (var k = 0u; k < 4u; k++) { y[4u * index + k] = words[k]; }
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/**
 * y = x · (u ≥ p ? scale : 0). Forward (`keep`) also copies the state to `used`, so that the
 * backward pass makes the same mask whatever the stream does in between.
 */
export const dropoutKernel = /* @__PURE__ */ defineKernel({
  name: "dropout",
  key: (s: { keep: boolean }) => (s.keep ? "forward" : "backward"),
  bindings: ({ keep }) =>
    ({
      x: { access: "read", ...VEC },
      state: { access: "read", type: "u32" },
      y: { access: "write", ...VEC },
      ...(keep ? { used: { access: "write", type: "u32" } } : {}),
    }) as Record<"x" | "state" | "y" | "used", Binding>,
  params: { n4: "u32", draw: "u32", p: "f32", scale: "f32" },
  body: ({ keep }) => wgsl`
${threefry}
${linearMain()} {
  ${linearIndex("p.n4")}
  #if ${keep}
  if (index == 0u) { for (var k = 0u; k < 4u; k++) { used[k] = state[k]; } }
  #endif
  let u = unit(fourWords(vec2u(state[0], state[1]), p.draw, index));
  y[index] = x[index] * select(vec4f(), vec4f(p.scale), u >= vec4f(p.p));
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});
