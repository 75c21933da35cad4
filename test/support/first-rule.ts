/** What made a claim of version 1 hold, as it was decided until version 2 came. */
import type { SampleSet } from "../../src/data/sample-set";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { channelsOfConfig } from "../../src/models/channels";
import { readCredential } from "../../src/models/credential";
import { type Examination, examine } from "../../src/ownership";
import type { Commitment } from "../../src/ownership/first/commitment";
import { type BoundEvidence, boundEvidence } from "../../src/ownership/first/evidence";
import { readSigns } from "../../src/ownership/reading";
import { realignTo } from "../../src/ownership/realign";
import { suspectWeights } from "../../src/ownership/rejoin";

/** What else the first version took. */
export interface FirstOptions {
  test?: SampleSet;
  commitment?: Commitment;
  /** The file that channels are put back by, whoever chose it. */
  reference?: SafetensorsFile;
  falsePositiveRate?: number;
}

/** Whether a bound claim of version 1 held, and what it went by. */
export async function firstRule(
  suspect: SafetensorsFile,
  credential: SafetensorsFile,
  { commitment, falsePositiveRate = 1e-6, ...options }: FirstOptions = {},
): Promise<{ holds: boolean; examined: Examination; bound: BoundEvidence | null }> {
  const { reference } = options;
  const claim = readCredential(credential);
  const { config, channels } = claim;
  const known = reference && { channels: config ? channelsOfConfig(config, reference) : channels!, config };
  const read = suspectWeights(known ? realignTo(suspect, reference!, known).aligned : suspect, claim);
  const signs = readSigns(read.places, read.tensors, claim.tensors);
  const { evidence } = await boundEvidence(signs, { owner: credential, claim }, suspect, commitment, falsePositiveRate);
  const examined = await examine(suspect, credential, { ...options, falsePositiveRate });
  return { holds: examined.passes && evidence?.holds === true, examined, bound: evidence };
}
