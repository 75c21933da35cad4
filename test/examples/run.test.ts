/** What signals do to a training of the examples. */
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { untilInterrupted } from "../../examples/run";
import type { Trainer } from "../../src/train";

const stop = vi.fn();
const exit = vi.spyOn(process, "exit").mockImplementation((() => {}) as typeof process.exit);
afterEach(() => void [stop, exit].map((mock) => mock.mockClear()));
afterAll(() => exit.mockRestore());

const send = (...signals: NodeJS.Signals[]) =>
  untilInterrupted({ stop } as unknown as Trainer, async () => {
    for (const signal of signals) process.emit(signal);
  });

it.each([
  [["SIGTERM", "SIGTERM", "SIGTERM"]],
  [["SIGTERM", "SIGINT"]],
  [["SIGINT", "SIGTERM"]],
  [["SIGINT"]],
] as const)("%j ask it to stop with a checkpoint", async (signals) => {
  await send(...signals);
  expect(stop).toHaveBeenCalledTimes(signals.length);
  expect(exit).not.toHaveBeenCalled();
});

it("a second Ctrl-C ends it at once", async () => {
  await send("SIGINT", "SIGINT");
  expect(exit).toHaveBeenCalledWith(130);
});

it("hears nothing any more when it has ended", async () => {
  const before = process.listenerCount("SIGTERM");
  await send();
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
