/** One row in all libraries: made ready, compared, timed in interleaved rounds, counted, freed. */
import { LIBRARIES, type LibraryName } from "./protocol";
import {
  bestPeer,
  type LibraryRecord,
  largestRelative,
  medianOf,
  type RowRecord,
  relativeError,
  shareOfCeiling,
} from "./record";
import type { Row } from "./rows";
import { LibraryError, type Worker } from "./worker";

export interface MeasureOptions {
  rounds: number;
  /** Seconds of timed runs per row and library; a slow one gets fewer rounds, one at least. */
  budget: number;
  /** Told what is being done. */
  say(words: string): void;
}

export type Workers = Readonly<Record<LibraryName, Worker>>;

/** Largest error of a result: float32 sums of up to some 10⁵ terms in any order stay far below. */
const TOLERANCE = 1e-3;
/** Largest error of a training step's losses. */
const LOSS_TOLERANCE = 1e-2;
/** Quick runs are repeated until they take about so long together, at most so often. */
const SLICE_MS = 100;
const MOST_RUNS = 32;

const CEILING = { kind: "ceiling", name: "ceiling" } as const;

/** A library in the middle of a row. */
interface Entry {
  worker: Worker;
  record: LibraryRecord;
  /** Seconds of timed runs so far, and of the last. */
  spent: number;
  last: number;
}

const fresh = (): LibraryRecord => ({
  status: "right",
  reason: null,
  error: null,
  firstMs: null,
  runs: 1,
  rounds: [],
  ms: null,
  counts: null,
});

/** Runs `work`; what the library cannot do is noted. @returns whether it could. */
async function attempt(record: LibraryRecord, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    record.status = "cannot";
    record.reason = error.message;
    return false;
  }
}

/** Makes the row ready in every library, ours first, and compares. */
async function prepareAll(row: Row, workers: Workers, { say }: MeasureOptions): Promise<Entry[]> {
  const entries: Entry[] = [];
  let reference: Float32Array | null = null;
  for (const name of LIBRARIES) {
    const entry: Entry = { worker: workers[name], record: fresh(), spent: 0, last: 0 };
    const { record, worker } = entry;
    entries.push(entry);
    say(` ${name}`);
    await attempt(record, async () => {
      if (name !== "ours" && reference === null) throw new LibraryError("nothing to compare with, since ours cannot");
      const { outputs, firstMs } = await worker.ask({ command: "prepare", row });
      record.firstMs = firstMs;
      if (reference === null) {
        reference = outputs;
        return;
      }
      const step = row.kind === "step";
      record.error = (step ? largestRelative : relativeError)(outputs, reference);
      if (record.error > (step ? LOSS_TOLERANCE : TOLERANCE)) record.status = "wrong";
    });
  }
  return entries;
}

/** Operations a second of multiply-adds in registers, now. */
async function measureCeiling(ours: Worker, state: { flop: number; runs: number }): Promise<number | null> {
  try {
    if (!ours.has(CEILING.name)) {
      state.flop = (await ours.ask({ command: "prepare", row: CEILING })).flop!;
      state.runs = repeats(await ours.ask({ command: "run", name: CEILING.name, times: 1 }));
    }
    return state.flop / ((await ours.ask({ command: "run", name: CEILING.name, times: state.runs })) / 1000);
  } catch (error) {
    if (error instanceof LibraryError) return null;
    throw error;
  }
}

const repeats = (ms: number): number => Math.min(MOST_RUNS, Math.max(1, Math.round(SLICE_MS / ms)));

/**
 * Measures a row. Rounds go through ceiling, ours and peers in turn, each round beginning with
 * another library, so that a drifting machine meets all alike. A library that cannot is noted with
 * its reason; the others go on.
 */
export class Meter {
  private readonly ceiling = { flop: 0, runs: 1 };

  constructor(
    private readonly workers: Workers,
    private readonly options: MeasureOptions,
  ) {}

  async measure(row: Row): Promise<RowRecord> {
    const { say } = this.options;
    say("preparing");
    const entries = await prepareAll(row, this.workers, this.options);
    const right = (e: Entry) => e.record.status === "right";
    for (const entry of entries.filter(right))
      await attempt(entry.record, async () => {
        const ms = await entry.worker.ask({ command: "run", name: row.name, times: 1 });
        entry.record.runs = repeats(ms);
        entry.last = (ms * entry.record.runs) / 1000;
      });
    const ceilings = await this.rounds(row, entries);
    for (const entry of entries) {
      const { record, worker } = entry;
      if (right(entry))
        await attempt(record, async () => {
          record.counts = await worker.ask({ command: "counts", name: row.name });
        });
      // Also of a wrong one: what it holds would be in the way of the next rows.
      if (worker.has(row.name))
        await attempt(record, async () => void (await worker.ask({ command: "dispose", name: row.name })));
      record.ms = medianOf(record.rounds);
    }
    say("\n");
    const libraries = Object.fromEntries(entries.map((e) => [e.worker.name, e.record]));
    const measured = { name: row.name, flop: row.flop, libraries, ceilings };
    return { ...measured, share: shareOfCeiling(measured), best: bestPeer(libraries) };
  }

  private async rounds(row: Row, entries: Entry[]): Promise<(number | null)[]> {
    const { rounds, budget, say } = this.options;
    const ceilings: (number | null)[] = [];
    if (entries.every(({ record }) => record.status !== "right")) return ceilings;
    say("; round");
    for (let round = 0; round < rounds; round++) {
      say(` ${round + 1}`);
      ceilings.push(await measureCeiling(this.workers.ours, this.ceiling));
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[(round + i) % entries.length]!;
        const { record, worker } = entry;
        const affordable = round === 0 || entry.spent + entry.last <= budget;
        let ms: number | null = null;
        if (record.status === "right" && affordable)
          await attempt(record, async () => {
            ms = await worker.ask({ command: "run", name: row.name, times: record.runs });
            entry.last = (ms * record.runs) / 1000;
            entry.spent += entry.last;
          });
        record.rounds.push(ms);
      }
    }
    return ceilings;
  }
}
