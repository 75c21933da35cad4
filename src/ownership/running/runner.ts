/** What runs networks for a verdict. All else follows from bytes, and needs none of it. */
import type { SafetensorsFile } from "../../io/safetensors";
import type { MarkedClaim } from "../claim/marked-claim";
import type { OpenFile } from "../network-file";
import type { SuspectWeights } from "../suspect/suspect-weights";
import type { Examination } from "./examination";

/** What is known of a network that shall be asked for a claim's triggers. */
export interface Asked {
  /** Its weights that passports speak of; null where it is of another structure. */
  readonly read: SuspectWeights | null;
  readonly claim: MarkedClaim;
  /** The committed file, where the network is another; null else. */
  readonly released: OpenFile | null;
  /** Takes sentences: what kept from asking. */
  readonly notes: string[];
}

/** Whatever runs networks: this package's WebGPU, or a caller's own. */
export interface Runner {
  /** Whether it runs files of another structure than the claimed network's. */
  readonly takesAny: boolean;
  /**
   * Triggers of all groups that a network answers as the claim has it; null where none was asked.
   */
  hits(file: SafetensorsFile, asked: Asked): Promise<number | null>;
  /** What the papers check, accuracies included. */
  examine?(suspect: SafetensorsFile, owner: SafetensorsFile): Promise<Examination>;
}
