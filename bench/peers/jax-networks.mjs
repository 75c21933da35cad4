/** The networks in jax-js, whose functions consume their arguments but for a `.ref`. */
import { lax, nn, numpy as np } from "@jax-js/jax";
import { inProjection, named } from "./transformer";

const EPSILON = 1e-5;

/** @param geometry stride, padding and groups, the same for both axes */
export function conv2d(x, w, { stride, padding, groups }) {
  const sides = [padding, padding];
  return lax.convGeneralDilated(x, w, [stride, stride], [sides, sides], { featureGroupCount: groups });
}

/** From images to logits; `p`: parameters by name, each used once. */
export const forward = (network, p, x) =>
  network.arch === "vit" ? transformer(network, p, x) : convolutional(network, p, x);

/** (x − mean) / √(variance + ε) over some axes. */
function normalised(x, axes) {
  const centred = x.ref.sub(x.mean(axes, { keepdims: true }));
  const variance = np.square(centred.ref).mean(axes, { keepdims: true });
  return { centred, factor: np.reciprocal(np.sqrt(variance.add(EPSILON))) };
}

function convolutional(network, p, x) {
  const channels = (t) => t.reshape([1, t.shape[0], 1, 1]);
  const block = (b, h) => {
    const { centred, factor } = normalised(conv2d(h, p[b.weight], b), [0, 2, 3]);
    return nn.relu(centred.mul(factor.mul(channels(p[b.gamma]))).add(channels(p[b.beta])));
  };
  const residual = ({ first, second, shortcut }, h) => {
    const inner = block(second, block(first, h.ref));
    return nn.relu(inner.add(shortcut ? block(shortcut, h) : h));
  };
  let h = x;
  for (const part of network.parts) {
    if (part.kind === "pool") h = lax.reduceWindow(h, np.max, [2, 2], [2, 2]);
    else h = part.kind === "block" ? block(part.block, h) : residual(part, h);
  }
  const features = network.gather.kind === "mean" ? h.mean([2, 3]) : h.reshape([h.shape[0], -1]);
  return np.dot(features, p[network.head.weight]).add(p[network.head.bias]);
}

/**
 * softmax(Q · Kᵀ / √d) · V of [batch, positions, heads, d]; by products, since the library's own
 * `nn.dotProductAttention` calls what Node has from 22 on.
 */
export function attention(q, k, v) {
  const scale = q.shape[3] ** -0.5;
  const scores = np.matmul(q.transpose([0, 2, 1, 3]), k.transpose([0, 2, 3, 1])).mul(scale);
  return np.matmul(nn.softmax(scores), v.transpose([0, 2, 1, 3])).transpose([0, 2, 1, 3]);
}

function transformer({ patch, tokens, dim, heads, blocks }, p, x) {
  const batch = x.shape[0];
  const linear = ({ weight, bias }, h) => np.dot(h, p[weight]).add(p[bias]);
  const norm = ({ weight, bias }, h) => {
    const { centred, factor } = normalised(h, [-1]);
    return centred.mul(factor).mul(p[weight]).add(p[bias]);
  };
  const attend = (block, h) => {
    const parts = np.split(linear(inProjection(block), h), 3, -1);
    const y = attention(...parts.map((t) => t.reshape([batch, tokens, heads, dim / heads])));
    return linear(named(`${block}.attention.out_proj`), y.reshape([batch, tokens, dim]));
  };
  const { weight, bias } = named("patches");
  const patches = conv2d(x, p[weight], { stride: patch, padding: 0, groups: 1 }).reshape([batch, dim, tokens]);
  let h = patches.transpose([0, 2, 1]).add(p[bias]).add(p.positions);
  for (let i = 0; i < blocks; i++) {
    const block = `blocks.${i}`;
    h = h.ref.add(attend(block, norm(named(`${block}.norm1`), h)));
    const inner = linear(named(`${block}.up`), norm(named(`${block}.norm2`), h.ref));
    h = h.add(linear(named(`${block}.down`), nn.gelu(inner, { approximate: false })));
  }
  return linear(named("head"), norm(named("norm"), h).mean(1));
}
