/**
 * Graphics processors and the constants of the model: published figures of their makers at boost
 * clock, but for what is marked as assumed. Nothing here was measured.
 */

export interface Card {
  readonly name: string;
  /** As `RADV_FORCE_FAMILY` names what its machine code is compiled for. */
  readonly family: string;
  /** That code is another card's: the maker's own compiler is not to be had without its card. */
  readonly isBorrowed: boolean;
  /** Compute units, multiprocessors, cores. */
  readonly units: number;
  /** Vector instructions that a unit does at a time, in lanes. */
  readonly lanes: number;
  /**
   * Invocations below which some of the lanes are idle, as each subgroup runs on a part of the
   * unit: smaller workgroups share a unit.
   */
  readonly fill: number;
  /** Multiply-adds that a lane does in the time of one other instruction (RDNA 3's dual issue). */
  readonly dual: number;
  /** Clock in Hz. */
  readonly clock: number;
  /** Bytes of workgroup memory that a unit reads or writes a clock. */
  readonly workgroupBytes: number;
  /** Bytes of memory a second. */
  readonly memory: number;
  /** Seconds from a load to its value, out of the cache that all units share. */
  readonly latency: number;
  /** Seconds from the end of a dispatch to the beginning of the next, which waits for it. */
  readonly launch: number;
}

/** Assumed of all: such a cache's latency, and what a barrier between two dispatches takes. */
const WAITS = { latency: 1.2e-7, launch: 3e-6 };
const AMD = { ...WAITS, isBorrowed: false, lanes: 64, fill: 128, dual: 1, workgroupBytes: 128 };
const NVIDIA = { ...AMD, isBorrowed: true, family: "navi31", lanes: 128 };

export const CARDS = {
  /** RDNA 2. */
  navi21: { ...AMD, name: "Radeon RX 6900 XT", family: "navi21", units: 80, clock: 2.25e9, memory: 512e9 },
  /** RDNA 3. */
  navi31: { ...AMD, name: "Radeon RX 7900 XTX", family: "navi31", units: 96, dual: 2, clock: 2.5e9, memory: 960e9 },
  /** RDNA 4. */
  gfx1201: { ...AMD, name: "Radeon RX 9070 XT", family: "gfx1201", units: 64, dual: 2, clock: 2.97e9, memory: 640e9 },
  /** GCN 5. */
  vega20: { ...AMD, name: "Radeon VII", family: "vega20", units: 60, fill: 256, clock: 1.75e9, memory: 1024e9 },
  h100: { ...NVIDIA, name: "H100 SXM", units: 132, clock: 1.98e9, memory: 3350e9 },
  h200: { ...NVIDIA, name: "H200 SXM", units: 132, clock: 1.98e9, memory: 4800e9 },
  /**
   * Apple publishes the number of cores and the bandwidth; clock and workgroup memory are assumed.
   */
  m3max: { ...NVIDIA, name: "Apple M3 Max, 40 cores", units: 40, clock: 1.38e9, memory: 400e9 },
} as const satisfies Readonly<Record<string, Card>>;

export type CardName = keyof typeof CARDS;

/** Lanes a second of all units: other instructions than multiply-adds run at this rate. */
export const laneRate = ({ units, lanes, clock }: Card): number => units * lanes * clock;

/** Operations a second (a multiply-add is two) that the maker states. */
export const peak = (card: Card): number => 2 * card.dual * laneRate(card);
