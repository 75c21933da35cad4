/** A process may end on a NanLossError: nothing is under way on the device any more. */
import { afterEach, expect, it, vi } from "vitest";
import { NanLossError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { SGD } from "../../src/optim";
import { Trainer } from "../../src/train";
import { gpu } from "../support/gpu";
import { TINY, tinySet } from "../support/tiny";

afterEach(() => vi.restoreAllMocks());

it("waits for the steps behind the one that failed", async () => {
  const device = await gpu();
  const model = buildNetwork(TINY, { seed: 1 });
  const done: string[] = [];
  const own = device.sync.bind(device);
  vi.spyOn(device, "sync").mockImplementation(async () => {
    await own();
    done.push("drained");
  });
  const attempt = async () => {
    const optimizer = new SGD(model.parameters(), { lr: 1e30 });
    const trainer = new Trainer(model, optimizer, { batchSize: 6, readEvery: 1 });
    try {
      for await (const _ of trainer.fit(tinySet(36, 1), { epochs: 3 }));
    } catch (error) {
      done.push((error as Error).name);
      throw error;
    } finally {
      optimizer.dispose();
    }
  };
  await expect(attempt()).rejects.toThrow(NanLossError);
  expect(done.slice(-2)).toEqual(["drained", "NanLossError"]);
  model.dispose();
}, 180_000);
