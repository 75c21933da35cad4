/** What a run says of itself that was stopped and gone on with. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { RunClock } from "../../examples/clock";
import { ScaleLog } from "../../examples/scales";
import { buildNetwork } from "../../src/models";
import { gpu } from "../support/gpu";
import { TINY } from "../support/tiny";

let out: string;
beforeEach(async () => void (out = await mkdtemp(join(tmpdir(), "pan-resumed-"))));
afterEach(() => rm(out, { recursive: true }));

it("began when its first process did, and took what all its epochs took", async () => {
  const first = await RunClock.start(out, { resume: false });
  const epochs = [{ seconds: 1000 }, { seconds: 2000 }];
  const again = await RunClock.start(out, { resume: true });
  expect(again.startedAt).toBe(first.startedAt);
  again.epoch(epochs[1]!);
  expect(Math.abs(again.seconds(epochs) - 3000)).toBeLessThan(60);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await RunClock.start(out, { resume: false })).startedAt).not.toBe(first.startedAt);
});

it("draws no movement of the weights over the epoch that it went on in", async () => {
  await gpu();
  const record = (epoch: number) => ({ epoch, loss: 1, bitsMatched: 0, bits: 0, seconds: 1 });
  for (const [resume, epochs] of [
    [false, [1, 2]],
    [true, [3, 4]],
  ] as const) {
    const model = buildNetwork(TINY, { seed: 1 });
    const log = new ScaleLog(model, out);
    await log.start({ resume });
    for (const epoch of epochs) await log.epoch(record(epoch));
    model.dispose();
  }
  const { epochs } = JSON.parse(await readFile(join(out, "convergence.json"), "utf8"));
  expect(epochs.map((e: { update?: number }) => e.update)).toEqual([0, 0, undefined, 0]);
});
