/** What made a claim of version 1 hold, as it was decided until version 2 came. */
import type { SampleSet } from "../../src/data/sample-set";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { channelsOfConfig } from "../../src/models/channels";
import { readCredential } from "../../src/models/credential";
import { type Examination, examine, matchThreshold } from "../../src/ownership";
import { bindingOf } from "../../src/ownership/first/binding";
import { type Commitment, openCommitment } from "../../src/ownership/first/commitment";
import { readSigns } from "../../src/ownership/suspect/reading";
import { realignTo } from "../../src/ownership/suspect/realign";
import { suspectWeights } from "../../src/ownership/suspect/suspect-weights";
import { matchedBits } from "../../src/passport/matches";

/** What else the first version took. */
export interface FirstOptions {
  test?: SampleSet;
  /** Made by whoever claims, at whatever time. */
  commitment?: Commitment;
  /** The file that channels are put back by, whoever chose it. */
  reference?: SafetensorsFile;
  falsePositiveRate?: number;
}

/** Secrets that nobody can try; a commitment was taken to have forestalled the search. */
const TRIALS = 2 ** 80;

/** Whether a bound claim of version 1 held, and what it went by. */
export async function firstRule(
  suspect: SafetensorsFile,
  credential: SafetensorsFile,
  { commitment, falsePositiveRate = 1e-6, ...options }: FirstOptions = {},
): Promise<{ holds: boolean; examined: Examination }> {
  const { reference } = options;
  const claim = readCredential(credential);
  const { config, channels } = claim;
  const known = reference && { channels: config ? channelsOfConfig(config, reference) : channels!, config };
  const read = suspectWeights(known ? realignTo(suspect, reference!, known).aligned : suspect, claim);
  const binding = (await bindingOf(credential, claim))!;
  const opened = commitment && (await openCommitment(commitment, credential, suspect));
  let [bits, matched] = [0, 0];
  for (const { name, gamma } of readSigns(read.places, read.tensors, claim.tensors)) {
    const own = binding.bits.get(name)!;
    bits += own.filter((bit) => bit !== 0).length;
    matched += matchedBits(gamma, own);
  }
  const needed = matchThreshold(bits, opened?.claim ? falsePositiveRate : 1 / TRIALS);
  const examined = await examine(suspect, credential, { ...options, falsePositiveRate });
  return { holds: examined.passes && matched >= needed && opened?.claim !== false, examined };
}
