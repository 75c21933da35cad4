/**
 * The vision transformer of examples/vit as data: sizes alone, since its parameters' names follow
 * from them.
 */

export interface TransformerSpec {
  arch: "vit";
  /** Height and width of a patch, and how many there are. */
  patch: number;
  tokens: number;
  /** Channels of a token, and inside of a block's MLP. */
  dim: number;
  hidden: number;
  heads: number;
  /**
   * Blocks `blocks.0` …: x + attention(norm1(x)), then x + down(gelu(up(norm2(x)))). Behind them a
   * norm, the mean over tokens and a linear layer.
   */
  blocks: number;
}

export const visionTransformer = (): TransformerSpec => {
  return { arch: "vit", patch: 4, tokens: 64, dim: 64, hidden: 128, heads: 4, blocks: 3 };
};

/** Every linear map over tokens: names of its weight [inputs, outputs] and bias, and its sizes. */
export const tokenMaps = ({ blocks, dim, hidden }: TransformerSpec) =>
  Array.from({ length: blocks }, (_, i) => `blocks.${i}`).flatMap((block) => [
    { ...inProjection(block), inputs: dim, outputs: 3 * dim },
    { ...named(`${block}.attention.out_proj`), inputs: dim, outputs: dim },
    { ...named(`${block}.up`), inputs: dim, outputs: hidden },
    { ...named(`${block}.down`), inputs: hidden, outputs: dim },
  ]);

/** Names of every layer norm's γ and β. */
export const layerNorms = ({ blocks }: TransformerSpec) => [
  ...Array.from({ length: blocks }, (_, i) => [named(`blocks.${i}.norm1`), named(`blocks.${i}.norm2`)]).flat(),
  named("norm"),
];

/** Names of a layer's weight and bias. */
export const named = (layer: string) => ({ weight: `${layer}.weight`, bias: `${layer}.bias` });

/** Those of the map to queries, keys and values, side by side in this order. */
export const inProjection = (block: string) => {
  return { weight: `${block}.attention.in_proj_weight`, bias: `${block}.attention.in_proj_bias` };
};
