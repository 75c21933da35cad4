/**
 * A language model of one's own, character by character: protected at norms behind residual sums,
 * trained on this package's documentation, given away, verified by a stranger, and fine-tuned by a
 * thief.
 *
 *     npm run gpt          (about four minutes on two CPU cores)
 */
import { readdir, readFile } from "node:fs/promises";
import { add, Generator, init, manualSeed, mul, noGrad, reshape, scope, Tensor } from "@pan/core";
import { dataset } from "@pan/core/data";
import { crossEntropy, Embedding, GELU, LayerNorm, Linear, Module, MultiheadAttention, Sequential } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { AdamW } from "@pan/core/optim";
import { evaluate, type Progress, type TaskBatch } from "@pan/core/train";
import { prove } from "./proof";

const [LENGTH, WIDTH, HEADS] = [64, 64, 4];

/** Attention and an MLP, each beside what goes past it. */
class Block extends Module {
  readonly norm1 = new LayerNorm(WIDTH);
  readonly attention = new MultiheadAttention(WIDTH, HEADS);
  readonly norm2 = new LayerNorm(WIDTH);
  readonly mlp = new Sequential(new Linear(WIDTH, 4 * WIDTH), new GELU(), new Linear(4 * WIDTH, WIDTH));
  forward(x: Tensor): Tensor {
    const q = this.norm1.forward(x);
    const h = add(x, this.attention.forward(q, q, q, { causal: true }));
    return add(h, this.mlp.forward(this.norm2.forward(h)));
  }
}

/** Characters [N, T] to scores of the character behind each, [N, T, vocabulary]. */
class GPT extends Module {
  readonly characters: Embedding;
  readonly places = new Embedding(LENGTH, WIDTH);
  readonly blocks = [new Block(), new Block()];
  readonly norm = new LayerNorm(WIDTH);
  readonly head: Linear;
  constructor(vocabulary: number) {
    super();
    this.characters = new Embedding(vocabulary, WIDTH);
    this.head = new Linear(WIDTH, vocabulary);
  }
  forward(x: Tensor): Tensor {
    let h = add(this.characters.forward(x), this.places.weight);
    for (const block of this.blocks) h = block.forward(h);
    return this.head.forward(this.norm.forward(h));
  }
}

/** Cross-entropy over all places. */
const loss = (scores: Tensor, { targets }: TaskBatch) =>
  crossEntropy(reshape(scores, [targets.size, -1]), reshape(targets, [targets.size]));
const bits = (scores: Tensor, batch: TaskBatch) => mul(loss(scores, batch), Math.LOG2E);
const metrics = { bits };

const root = new URL("../", import.meta.url);
const docs = (await readdir(new URL("docs/", root))).filter((name) => name.endsWith(".md")).sort();
const files = ["README.md", ...docs.map((name) => `docs/${name}`)];
const text = (await Promise.all(files.map((name) => readFile(new URL(name, root), "utf8")))).join("\n");
const alphabet = [...new Set(text)].sort();
const codes = Int32Array.from(text, (character) => alphabet.indexOf(character));

/** Pieces of the text, `step` apart, and the same one character on. */
const pieces = (codes: Int32Array, step: number) =>
  dataset({
    length: Math.floor((codes.length - LENGTH - 1) / step),
    inputs: { shape: [LENGTH], dtype: "i32" },
    targets: { shape: [LENGTH], dtype: "i32" },
    fill(index, { inputs, targets }) {
      inputs.set(codes.subarray(index * step, index * step + LENGTH));
      targets.set(codes.subarray(index * step + 1, index * step + LENGTH + 1));
    },
  });

/** A continuation of `start`, drawn from the model's own probabilities. */
async function written(model: { forward(x: Tensor): Tensor }, start: string, length: number): Promise<string> {
  const random = new Generator(4);
  const all = Array.from(start, (c) => alphabet.indexOf(c));
  for (let n = 0; n < length; n++) {
    const seen = all.slice(-LENGTH);
    // Places behind the last one change nothing in front of them.
    const padded = Int32Array.from({ length: LENGTH }, (_, i) => seen[i] ?? 0);
    const scores = scope(() => noGrad(() => model.forward(Tensor.from(padded, [1, LENGTH]))));
    const row = (await scores.data()).subarray((seen.length - 1) * alphabet.length).subarray(0, alphabet.length);
    scores.dispose();
    const weights = Array.from(row, (s) => Math.exp(s / 0.7));
    let left = random.uniform(0, 1) * weights.reduce((a, b) => a + b);
    all.push(
      Math.max(
        0,
        weights.findIndex((w) => (left -= w) <= 0),
      ),
    );
  }
  return all.map((code) => alphabet[code]).join("");
}

await init({ gpu: await dawn() });
manualSeed(1);
const cut = Math.floor(0.9 * codes.length);
const [train, test] = [pieces(codes.subarray(0, cut), 48), pieces(codes.subarray(cut), LENGTH)];
console.log(`${codes.length} characters of ${files.length} files, ${alphabet.length} different ones`);

await prove(
  {
    network: () => new GPT(alphabet.length),
    passports: {
      scheme: "pan",
      // A norm behind a residual sum has no map right in front of it: its passport goes through the
      // one named here, with as many outputs.
      at: {
        "blocks.0.norm2": { map: "blocks.0.attention.out_proj" },
        "blocks.1.norm1": { map: "blocks.0.mlp.2" },
        "blocks.1.norm2": { map: "blocks.1.attention.out_proj" },
        norm: { map: "blocks.1.mlp.2" },
      },
      signature: "ACME",
      sample: Tensor.from(new Int32Array(LENGTH), [1, LENGTH]),
    },
    train,
    test,
    epochs: 2,
    optimizer: (parameters) => new AdamW(parameters, { lr: 0.003 }),
    options: {
      loss,
      metrics,
      batchSize: 16,
      readEvery: 25,
      onProgress: ({ step, steps, record }: Progress) =>
        console.log(`step ${step} of ${steps}: loss ${record.loss.toFixed(3)}`),
    },
    measure: async (opened) => (await evaluate(opened, test, { metrics })).bits!,
    show: (value = 0) => `${value.toFixed(2)} bits a character`,
  },
  async (owned) => console.log(await written(owned, "The trainer ", 200)),
);
