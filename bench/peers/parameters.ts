/** What every library's training step begins with. */
import { numbers, sizeOf } from "./inputs";
import { blocksOf, CLASSES, type NetworkSpec } from "./networks";
import { layerNorms, named, type TransformerSpec, tokenMaps } from "./transformer";

interface Parameter {
  name: string;
  shape: number[];
  data: Float32Array;
}

const filled = (name: string, n: number, value: number): Parameter => {
  return { name, shape: [n], data: new Float32Array(n).fill(value) };
};

const uniform = (name: string, shape: number[], bound: number): Parameter => {
  return { name, shape, data: numbers(name, sizeOf(shape), -bound, bound) };
};

/** A linear map's weight ±1/√inputs, and its bias 0. */
const linear = ({ weight, bias }: { weight: string; bias: string }, inputs: number, outputs: number) => [
  uniform(weight, [inputs, outputs], 1 / Math.sqrt(inputs)),
  filled(bias, outputs, 0),
];

/**
 * Every trained tensor with its first values: weights of convolutions uniform ±√(6 / fan-in) (He et
 * al., 2015), those of linear layers ±1/√inputs, positions ±0.1, γ 1, β and biases 0.
 */
export const initialParameters = (spec: NetworkSpec | TransformerSpec): Parameter[] =>
  spec.arch === "vit" ? ofTransformer(spec) : ofNetwork(spec);

function ofNetwork(spec: NetworkSpec): Parameter[] {
  return [
    ...blocksOf(spec).flatMap((b) => {
      const inputs = b.in / b.groups;
      return [
        uniform(b.weight, [b.kernel, b.kernel, inputs, b.out], Math.sqrt(6 / (b.kernel ** 2 * inputs))),
        filled(b.gamma, b.out, 1),
        filled(b.beta, b.out, 0),
      ];
    }),
    ...linear(spec.head, spec.head.inputs, CLASSES),
  ];
}

function ofTransformer(spec: TransformerSpec): Parameter[] {
  const { patch, tokens, dim } = spec;
  const patches = named("patches");
  return [
    uniform("positions", [tokens, dim], 0.1),
    uniform(patches.weight, [patch, patch, 3, dim], Math.sqrt(6 / (patch ** 2 * 3))),
    filled(patches.bias, dim, 0),
    ...layerNorms(spec).flatMap(({ weight, bias }) => [filled(weight, dim, 1), filled(bias, dim, 0)]),
    ...tokenMaps(spec).flatMap((map) => linear(map, map.inputs, map.outputs)),
    ...linear(named("head"), dim, CLASSES),
  ];
}
