/** The process of one case of `hostile`: hostile-child.ts NAME. Prints its report. */
import { PanError } from "../src/index";
import type { Report } from "./hostile";
import { HOSTILE } from "./hostile-cases";

const SHOWN = 200;

/** One look at every byte, as the cheapest reader would: decoded, and each character compared. */
function look(bytes: Uint8Array): number {
  const started = performance.now();
  const text = new TextDecoder("latin1").decode(bytes);
  let brackets = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === 0x5b) brackets++;
  return performance.now() - started + 0 * brackets;
}

/** Bytes that an input takes, strings and views within it included. */
function bytesOf(input: unknown): Uint8Array {
  if (input instanceof Uint8Array) return input;
  if (typeof input === "string") return new TextEncoder().encode(input);
  return new Uint8Array();
}

const { make, read, weigh } = HOSTILE[process.argv[2]!]!;
const input = make();
const bytes = weigh?.(input as never) ?? bytesOf(input);
look(bytes);
const lookMs = look(bytes);
globalThis.gc?.();
const before = process.memoryUsage().rss;
const peak = 1024 * process.resourceUsage().maxRSS;
const [cpu, clock] = [process.cpuUsage(), performance.now()];
let error: unknown = null;
try {
  await read(input as never);
} catch (caught) {
  error = caught;
}
const { user, system } = process.cpuUsage(cpu);
const ms = Math.min((user + system) / 1000, performance.now() - clock);
const after = 1024 * process.resourceUsage().maxRSS;
const message = error instanceof Error ? error.message : String(error);
const report: Report = {
  error: error === null ? null : ((error as Error).constructor?.name ?? typeof error),
  typed: error === null || error instanceof PanError,
  message: message.slice(0, SHOWN),
  messageLength: message.length,
  inputBytes: bytes.length,
  ms,
  lookMs,
  // A peak that was there before, from making the input, hides growth below it and is not the reader's.
  grownBytes: after > peak ? after - before : Math.max(0, process.memoryUsage().rss - before),
};
console.log(JSON.stringify(report));
