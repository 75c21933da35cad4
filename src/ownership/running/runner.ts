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

/** What a network answered to a claim's triggers. */
export interface Answered {
  /** Answers of all groups that are as the claim has it. */
  readonly right: number;
  /**
   * In how many ways its outputs could have been taken for the claim's classes, as a logarithm to
   * base 2: what whoever made the committed file could choose among.
   */
  readonly ways: number;
}

/** Whatever runs networks: this package's WebGPU, or a caller's own. */
export interface Runner {
  /** Whether it runs files of another structure than the claimed network's. */
  readonly takesAny: boolean;
  /** How a network answers the triggers of all groups; null where none was asked. */
  answers(file: SafetensorsFile, asked: Asked): Promise<Answered | null>;
  /** What the papers check, accuracies included. */
  examine?(suspect: SafetensorsFile, owner: SafetensorsFile): Promise<Examination>;
}
