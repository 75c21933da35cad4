/**
 * ONNX models, run by ONNX Runtime (in WebAssembly), beside the networks that they were made from.
 */
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";
import { expect } from "vitest";
import { parseCifar10 } from "../../src/data";
import { inMode } from "../../src/nn/mode";
import type { Network } from "../../src/passport/trace";
import { scope } from "../../src/tensor/storage";
import { type DType, noGrad, Tensor } from "../../src/tensor/tensor";

ort.env.wasm.numThreads = 1;

/** What goes into a model or comes out of it. */
export interface Fed {
  readonly data: Float32Array<ArrayBufferLike> | Int32Array;
  readonly shape: readonly number[];
}

/** Runs a model once. */
export async function runModel(bytes: Uint8Array, feeds: Readonly<Record<string, Fed>>): Promise<Record<string, Fed>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  try {
    const given = Object.entries(feeds).map(([name, { data, shape }]) => [name, tensorOf(data, shape)] as const);
    const results = await session.run(Object.fromEntries(given));
    return Object.fromEntries(
      Object.entries(results).map(([name, { data, dims }]) => {
        const values = data instanceof BigInt64Array ? Int32Array.from(data, Number) : (data as Float32Array);
        return [name, { data: values, shape: dims }];
      }),
    );
  } finally {
    await session.release();
  }
}

const tensorOf = (data: Fed["data"], shape: readonly number[]) =>
  data instanceof Int32Array
    ? new ort.Tensor("int64", BigInt64Array.from(data, BigInt), shape)
    : new ort.Tensor("float32", data, shape);

/** [N, H, W, C] as [N, C, H, W], and back. */
export const channelsFirst = (fed: Fed): Fed => permuted(fed, [0, 3, 1, 2]);
export const channelsLast = (fed: Fed): Fed => permuted(fed, [0, 2, 3, 1]);

function permuted({ data, shape }: Fed, order: readonly number[]): Fed {
  if (shape.length !== 4) return { data, shape };
  const strides = [shape[1]! * shape[2]! * shape[3]!, shape[2]! * shape[3]!, shape[3]!, 1];
  const [a, b, c, d] = order.map((i) => shape[i]!) as [number, number, number, number];
  const [sa, sb, sc, sd] = order.map((i) => strides[i]!) as [number, number, number, number];
  const out = data.slice();
  let at = 0;
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++) for (let l = 0; l < d; l++) out[at++] = data[i * sa + j * sb + k * sc + l * sd]!;
  return { data: out, shape: [a, b, c, d] };
}

/** What a network gives in evaluation mode: its first tensor, or all. */
export async function runNetwork(network: Network, fed: Fed): Promise<Fed> {
  return (await runAll(network, fed))[0]!;
}

export async function runAll(network: Network, { data, shape }: Fed): Promise<Fed[]> {
  const given = scope(() => {
    const y = noGrad(() => inMode(network, false, () => network.forward(Tensor.from(data, shape))));
    return [y].flat() as Tensor[];
  });
  const values = await Promise.all(given.map((t) => t.data<DType>()));
  for (const t of given) t.dispose();
  return given.map(({ shape: sizes }, i) => ({ data: values[i] as Fed["data"], shape: sizes }));
}

/** Largest number, by its distance from 0. */
export const largestOf = ({ data }: Fed): number =>
  (data as Float32Array).reduce((most, v) => Math.max(most, Math.abs(v)), 0);

/** Equal to a share of the largest number, of 1 where all are 0. */
export function expectLike(actual: Fed, expected: Fed, share = 1e-5): void {
  expect(actual.shape).toEqual(expected.shape);
  const largest = largestOf(expected) || 1;
  let worst = 0;
  expected.data.forEach((v, i) => {
    const a = actual.data[i]!;
    const apart = a === v || Object.is(a, v) ? 0 : Math.abs(a - v);
    worst = Math.max(worst, Number.isNaN(apart) ? Infinity : apart);
  });
  expect(worst / largest).toBeLessThan(share);
}

/** Pictures of CIFAR-10 of the repository's sample, [N, 32, 32, 3], as numbers from −1 to 1. */
export async function realImages(count: number): Promise<Fed> {
  const file = new URL("../../examples/data/test_sample.bin", import.meta.url);
  const { images } = parseCifar10(await readFile(file), { source: "the sample" });
  const first = Float32Array.from(images.subarray(0, count * 3 * 32 * 32), (byte) => byte / 127.5 - 1);
  return channelsLast({ data: first, shape: [count, 3, 32, 32] });
}

/** Fields of a message, by number: numbers, and bytes of what has a length. */
function fieldsOf(bytes: Uint8Array): Map<number, (bigint | Uint8Array)[]> {
  const found = new Map<number, (bigint | Uint8Array)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const sized = (length: number) => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = tag % 8 === 0 ? varint() : sized(tag % 8 === 5 ? 4 : Number(varint()));
    found.set(tag >> 3, [...(found.get(tag >> 3) ?? []), value]);
  }
  expect(at).toBe(bytes.length);
  return found;
}

/** What a model says of itself, read by its wire format alone. */
export function readModel(bytes: Uint8Array) {
  const all = (fields: Map<number, (bigint | Uint8Array)[]>, n: number) => (fields.get(n) ?? []) as Uint8Array[];
  const texts = (fields: Map<number, (bigint | Uint8Array)[]>, n: number) =>
    all(fields, n).map((b) => Buffer.from(b).toString());
  const numbers = (fields: Map<number, (bigint | Uint8Array)[]>, n: number) => (fields.get(n) ?? []).map(Number);
  const model = fieldsOf(bytes);
  const graph = fieldsOf(all(model, 7)[0]!);
  const port = (b: Uint8Array) => {
    const info = fieldsOf(b);
    const tensor = fieldsOf(all(fieldsOf(all(info, 2)[0]!), 1)[0]!);
    const sizes = all(fieldsOf(all(tensor, 2)[0]!), 1).map((d) => {
      const size = fieldsOf(d);
      return texts(size, 2)[0] ?? numbers(size, 1)[0]!;
    });
    return { name: texts(info, 1)[0]!, type: numbers(tensor, 1)[0]!, sizes };
  };
  return {
    version: numbers(model, 1)[0]!,
    producer: texts(model, 2)[0]!,
    opset: numbers(fieldsOf(all(model, 8)[0]!), 2)[0]!,
    name: texts(graph, 2)[0]!,
    nodes: all(graph, 1).map((b) => {
      const node = fieldsOf(b);
      return { type: texts(node, 4)[0]!, name: texts(node, 3)[0]!, inputs: texts(node, 1), outputs: texts(node, 2) };
    }),
    constants: new Map(
      all(graph, 5).map((b) => {
        const tensor = fieldsOf(b);
        const [raw] = all(tensor, 9) as [Uint8Array];
        return [texts(tensor, 8)[0]!, { type: numbers(tensor, 2)[0]!, shape: numbers(tensor, 1), raw: raw.slice() }];
      }),
    ),
    inputs: all(graph, 11).map(port),
    outputs: all(graph, 12).map(port),
  };
}
