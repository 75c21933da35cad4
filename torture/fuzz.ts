/**
 * `fuzz`: damaged inputs to every reader. A result that holds together, or an error of the package
 * that can be read; soon.
 */
import type { Generator } from "@pan/core";
import { type Cases, demand, type Part, refusable, type Task } from "./part";
import { type Input, READERS, type Reader } from "./readers";
import { deviceReaders } from "./readers-device";

const CASES = { commit: 5000, full: 100_000 };
/** Milliseconds that a reader may take for one damaged input of at most 200 KB. */
const SLOWEST = 250;

/** Readers by their weights: how often each has its turn. */
function draw(random: Generator, readers: readonly Reader[], total: number): Reader {
  let at = random.uniform(0, total);
  for (const reader of readers) if ((at -= reader.weight) < 0) return reader;
  return readers.at(-1)!;
}

/**
 * The processor's time or the clock's, whichever was shorter: another process's turn is not the
 * reader's.
 */
async function timed<T>(body: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const [cpu, clock] = [process.cpuUsage(), performance.now()];
  const value = await body();
  const { user, system } = process.cpuUsage(cpu);
  return { ms: Math.min((user + system) / 1000, performance.now() - clock), value };
}

/** Runs a reader on an input. @returns whether it was refused, and the milliseconds. */
async function read(reader: Reader, input: Input): Promise<{ refused: boolean; ms: number }> {
  const { ms, value } = await timed(() => refusable(() => input.read()));
  demand(ms <= SLOWEST, `${reader.name} took ${ms.toFixed(0)} ms`);
  if ("refusal" in value) return { refused: true, ms };
  const wrong = await input.wrong?.(value.result as never);
  demand(!wrong, `${reader.name} gave a result that does not hold together: ${wrong}`);
  return { refused: false, ms };
}

async function run(task: Task, cases: Cases) {
  const readers = [...(await READERS()), ...(await deviceReaders())];
  const total = readers.reduce((sum, r) => sum + r.weight, 0);
  const tally = new Map(readers.map((r) => [r.name, { cases: 0, refused: 0, slowest: 0 }]));
  let slowest = { ms: 0, name: "", number: 0 };
  await cases.each(CASES[task.size], async (random, number) => {
    const reader = draw(random, readers, total);
    const { name } = reader;
    const input = await reader.input(random);
    const own = tally.get(name)!;
    own.cases++;
    const { refused, ms } = await read(reader, input).catch(async (error: unknown) => {
      // A collector's or a compiler's turn falls into a case now and then: what is slow is slow
      // again.
      if (!(error instanceof Error) || !/ took \d+ ms$/.test(error.message)) throw error;
      return read(reader, input);
    });
    if (refused) own.refused++;
    own.slowest = Math.max(own.slowest, ms);
    if (ms > slowest.ms) slowest = { ms, name, number };
  });
  const refused = [...tally.values()].reduce((n, t) => n + t.refused, 0);
  return {
    figure: `${cases.count} damaged inputs to ${readers.length} readers: ${refused} refused, ${cases.kept - refused} read, ${cases.broken.length} broken promises; slowest ${slowest.ms.toFixed(0)} ms (${slowest.name})`,
    facts: { readers: Object.fromEntries(tally), slowest },
  };
}

export default {
  promise: `every reader of files gives a result that holds together or an error of the package, within ${SLOWEST} ms`,
  patience: 30,
  run,
} satisfies Part;
