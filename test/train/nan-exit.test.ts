/** A process that ends on a NanLossError ends as any other does, and not on a signal. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Bundled, bundleProgram } from "../support/bundled";

const PROGRAM = `
import { init } from "@pan/core";
import { imageSet } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { Trainer } from "@pan/core/train";
await init({ gpu: await dawn() });
const [height, width, channels, n] = [8, 8, 3, 240];
const images = Uint8Array.from({ length: n * height * width * channels }, (_, i) => (i * 2654435761) >>> 24);
const labels = Uint8Array.from({ length: n }, (_, i) => i % 3);
const train = imageSet({ images, labels, classes: ["a", "b", "c"], height, width, channels });
const layers = [{ channels: 16, kernel: 3, padding: 1 }];
const model = buildNetwork({ classes: 3, input: [8, 8, 3], layers, scheme: "plain" }, { seed: 1 });
// A rate that no network survives: steps are under way when the loss of an earlier one is read.
const trainer = new Trainer(model, new SGD(model, { lr: 1e30, momentum: 0.9 }), { batchSize: 12, readEvery: 2 });
for await (const _ of trainer.fit(train, { epochs: 3 }));
`;

let bundled: Bundled;
beforeAll(async () => {
  bundled = await bundleProgram(PROGRAM);
});
afterAll(() => bundled.remove());

/** How one run ends, and the end of what it says. */
async function ending(): Promise<{ status: number | null; signal: string | null; said: string }> {
  const child = spawn(process.execPath, [bundled.file], { ...bundled.where, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [status, signal] = (await once(child, "close")) as [number | null, string | null];
  return { status, signal, said };
}

it("twenty processes in a row, four at a time", async () => {
  for (let round = 0; round < 5; round++) {
    const ends = await Promise.all([ending(), ending(), ending(), ending()]);
    for (const { status, signal, said } of ends) {
      expect(signal, said.slice(-500)).toBeNull();
      expect(said).toMatch(/NanLossError/);
      expect(status).toBe(1);
    }
  }
}, 240_000);
