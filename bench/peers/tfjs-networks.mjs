/** The networks in TensorFlow.js: the library is given, since it is loaded late. */
import { inProjection, named } from "./transformer";

const EPSILON = 1e-5;

/** From images to logits; `p`: parameters by name. */
export const forward = (tf, network, p, x) =>
  network.arch === "vit" ? transformer(tf, network, p, x) : convolutional(tf, network, p, x);

function convolutional(tf, network, p, x) {
  const block = (b, h) => {
    const y =
      b.groups > 1
        ? tf.depthwiseConv2d(h, tf.reshape(p[b.weight], [b.kernel, b.kernel, b.in, 1]), b.stride, b.padding)
        : tf.conv2d(h, p[b.weight], b.stride, b.padding);
    const { mean, variance } = tf.moments(y, [0, 1, 2]);
    return tf.relu(tf.batchNorm(y, mean, variance, p[b.beta], p[b.gamma], EPSILON));
  };
  const residual = ({ first, second, shortcut }, h) =>
    tf.relu(tf.add(block(second, block(first, h)), shortcut ? block(shortcut, h) : h));
  let h = x;
  for (const part of network.parts) {
    if (part.kind === "pool") h = tf.maxPool(h, 2, 2, "valid");
    else h = part.kind === "block" ? block(part.block, h) : residual(part, h);
  }
  const features = network.gather.kind === "mean" ? tf.mean(h, [1, 2]) : tf.reshape(h, [x.shape[0], -1]);
  return tf.add(tf.matMul(features, p[network.head.weight]), p[network.head.bias]);
}

/**
 * Tokens are rows [batch · tokens, channels] throughout: products of matrices with batches have no
 * gradient towards a weight that all share.
 */
function transformer(tf, { patch, tokens, dim, heads, blocks }, p, x) {
  const batch = x.shape[0];
  const linear = ({ weight, bias }, h) => tf.add(tf.matMul(h, p[weight]), p[bias]);
  const norm = ({ weight, bias }, h) => {
    const { mean, variance } = tf.moments(h, -1, true);
    const normal = tf.mul(tf.sub(h, mean), tf.rsqrt(tf.add(variance, EPSILON)));
    return tf.add(tf.mul(normal, p[weight]), p[bias]);
  };
  const gelu = (h) => tf.mul(tf.mul(h, 0.5), tf.add(tf.erf(tf.mul(h, Math.SQRT1_2)), 1));
  const attend = (block, h) => {
    const parts = tf.split(linear(inProjection(block), h), 3, 1);
    const y = attention(tf, ...parts.map((t) => tf.reshape(t, [batch, tokens, heads, dim / heads])));
    return linear(named(`${block}.attention.out_proj`), tf.reshape(y, [batch * tokens, dim]));
  };
  const { weight, bias } = named("patches");
  const patches = tf.reshape(tf.add(tf.conv2d(x, p[weight], patch, "valid"), p[bias]), [batch, tokens, dim]);
  let h = tf.reshape(tf.add(patches, p.positions), [batch * tokens, dim]);
  for (let i = 0; i < blocks; i++) {
    const block = `blocks.${i}`;
    h = tf.add(h, attend(block, norm(named(`${block}.norm1`), h)));
    const inner = gelu(linear(named(`${block}.up`), norm(named(`${block}.norm2`), h)));
    h = tf.add(h, linear(named(`${block}.down`), inner));
  }
  const out = tf.reshape(norm(named("norm"), h), [batch, tokens, dim]);
  return linear(named("head"), tf.mean(out, 1));
}

/** softmax(Q · Kᵀ / √d) · V of [batch, positions, heads, d], which its products want transposed. */
export function attention(tf, q, k, v) {
  const [a, b, c] = [q, k, v].map((t) => tf.transpose(t, [0, 2, 1, 3]));
  const scores = tf.mul(tf.matMul(a, b, false, true), q.shape[3] ** -0.5);
  return tf.transpose(tf.matMul(tf.softmax(scores), c), [0, 2, 1, 3]);
}
