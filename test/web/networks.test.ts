/** Which files the page takes for one network. */
import { File } from "node:buffer";
import { decodeWeights } from "@pan/core/weights";
import { describe, expect, it } from "vitest";
import { networksAmong, oneNetwork, partOf } from "../../web/src/networks";

type Chosen = Parameters<typeof oneNetwork>[0];

const weight = (name: string) => ({ name, shape: [1], dtype: "float32" });
const json = (document: unknown, name = "model.json") => new File([JSON.stringify(document)], name);
/** A model.json whose groups have a shard and a weight each. */
const model = (...paths: string[]) =>
  json({ weightsManifest: paths.map((path, i) => ({ paths: [path], weights: [weight(`w${i}`)] })) });
const shard = (name: string, value: number) => new File([Float32Array.of(value)], name);
const chosen = (...files: File[]) => files as unknown as Chosen;

async function valuesOf(files: Chosen): Promise<number[]> {
  const set = await oneNetwork(files);
  if (typeof set === "string") throw new Error(set);
  const index = new Uint8Array(await set[0]!.arrayBuffer());
  const { tensors } = await decodeWeights(index, { fetch: partOf(set) });
  return [...tensors.values()].map(({ data }) => Number(data[0]));
}

describe("an index and its files", () => {
  it("are one network, whatever folders it names", async () => {
    const files = chosen(shard("b.bin", 2), model("x/a.bin", "y/b.bin"), shard("a.bin", 1));
    expect(await valuesOf(files)).toEqual([1, 2]);
    expect(await networksAmong(files)).toMatchObject({ networks: [{ length: 3 }], rest: [] });
  });

  it("may name one file often, in an index of tensors", async () => {
    const index = json({ weight_map: { a: "part.bin", b: "part.bin" } });
    expect(await oneNetwork(chosen(index, shard("part.bin", 1)))).toHaveLength(2);
  });

  it("are refused where two of one name cannot be told apart", async () => {
    const [a, b] = [shard("shard.bin", 1), shard("shard.bin", 2)];
    for (const files of [
      chosen(model("x/shard.bin", "y/shard.bin"), a),
      chosen(model("x/shard.bin", "y/shard.bin"), a, b),
      chosen(model("shard.bin"), a, b),
      chosen(json({ weight_map: { a: "x/shard.bin", b: "y/shard.bin" } }), a, b),
    ])
      expect(await oneNetwork(files)).toMatch(/has two files called shard\.bin/);
  });

  it("are refused where some are missing, or strange", async () => {
    expect(await oneNetwork(chosen(model("a.bin", "b.bin"), shard("a.bin", 1)))).toMatch(/names b\.bin: choose/);
    expect(await oneNetwork(chosen(model("a.bin"), shard("a.bin", 1), shard("c.bin", 1)))).toMatch(/not name c\.bin/);
  });
});
