/** The process of `hostile`: is sent names of cases, and sends back their reports. */
import { readFileSync, writeFileSync } from "node:fs";
import { PanError } from "@pan/core";
import type { Report } from "./hostile";
import { HOSTILE } from "./hostile-cases";

const SHOWN = 200;

/** Milliseconds of the processor, or of the clock where they are fewer. */
async function timed(body: () => unknown): Promise<number> {
  const [cpu, clock] = [process.cpuUsage(), performance.now()];
  await body();
  const { user, system } = process.cpuUsage(cpu);
  return Math.min((user + system) / 1000, performance.now() - clock);
}

/** One look at every byte, as the cheapest reader would: decoded, and each character compared. */
function look(bytes: Uint8Array): number {
  const text = new TextDecoder("latin1").decode(bytes);
  let brackets = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === 0x5b) brackets++;
  return brackets;
}

/** Bytes of an input that is bytes or a text. */
function bytesOf(input: unknown): Uint8Array {
  if (input instanceof Uint8Array) return input;
  return typeof input === "string" ? new TextEncoder().encode(input) : new Uint8Array();
}

/**
 * Largest size of this process since {@link forgetPeak}, in bytes; on other systems than Linux
 * since its start.
 */
function peak(): number {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}

/** Has Linux count the largest size anew. */
function forgetPeak(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Growth below an earlier peak is not seen then.
  }
}

async function report(name: string): Promise<Report> {
  const { make, read, weigh } = HOSTILE[name]!;
  const input = make() as never;
  const bytes = weigh?.(input) ?? bytesOf(input);
  look(bytes);
  const lookMs = await timed(() => look(bytes));
  globalThis.gc?.();
  forgetPeak();
  const before = peak();
  let error: unknown = null;
  const ms = await timed(async () => {
    try {
      await read(input);
    } catch (caught) {
      error = caught;
    }
  });
  const message = String((error as Error | null)?.message ?? error);
  return {
    error: error === null ? null : ((error as object).constructor?.name ?? typeof error),
    typed: error === null || (error as unknown) instanceof PanError,
    message: message.slice(0, SHOWN),
    messageLength: message.length,
    inputBytes: bytes.length,
    ms,
    lookMs,
    grownBytes: peak() - before,
  };
}

process.on("message", async (name: string) => process.send!(await report(name)));
