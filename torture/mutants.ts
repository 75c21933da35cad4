/**
 * `mutants`: a true claim of ownership, changed in files and options. No verdict above what a count
 * apart from the package leaves, no error that is not the package's, nothing left on the device.
 */
import { encodeSafetensors, init, memory, type SafetensorsFile, toFloat32 } from "@pan/core";
import { dawn } from "@pan/core/node";
import { type VerdictName, type Verification, type VerifyOptions, verify } from "@pan/core/ownership";
import { type Bundle, encodeBundle } from "../src/signing/bundle";
import { type Claim, GONE, matches, mutantOf, STAMPED, type TrueClaim, threshold, trueClaim } from "./claims";
import { type Cases, demand, LONGEST_MESSAGE, type Part, refusable, type Task } from "./part";

const CASES = { commit: 5000, full: 100_000 };
const SECONDS = { commit: 60, full: 1800 };
const RATE = 1e-6;
/** Secrets that nobody can try: what a claim is held to, whatever was committed to. */
const TRIALS = 2 ** -80;

/** Verdicts from the weakest up. */
const RANKS: readonly VerdictName[] = [
  "refused",
  "mark present",
  "copy of the committed network",
  "holds",
  "holds as released",
];

/** The best verdict that a claim may get, and why no better one. */
interface Ceiling {
  verdict: VerdictName;
  why: string;
}
const refused = (why: string): Ceiling => ({ verdict: "refused", why });

const isShare = (v: unknown): boolean => v === undefined || (typeof v === "number" && v >= 0 && v <= 1);
const timeOf = (v: unknown): number =>
  v instanceof Date ? v.getTime() : typeof v === "string" ? Date.parse(v) : Number.NaN;

/** An option that is none: whatever it was meant to say, nothing may be shown by it. */
function oddOption(o: VerifyOptions): string | null {
  const {
    tolerance,
    falsePositiveRate: rate,
    suspects,
    published,
    roots,
    suspectSha256,
    possession,
    commitment,
  } = o as Record<string, unknown>;
  if (!isShare(tolerance)) return `tolerance ${String(tolerance)}`;
  if (!isShare(rate) || rate === 0 || rate === 1) return `falsePositiveRate ${String(rate)}`;
  if (suspects !== undefined && !(Number.isSafeInteger(suspects) && (suspects as number) > 0)) return "no suspects";
  if (published !== undefined && Number.isNaN(timeOf(published))) return "no date";
  if (roots !== undefined && !Array.isArray(roots)) return "no roots";
  // The true one is nowhere given: what stands here is none.
  if (suspectSha256 !== undefined) return "no digest";
  if (possession !== undefined) return "nothing that a key signed";
  if (commitment !== undefined && typeof commitment !== "string" && !isObject(commitment)) return "no commitment";
  return GONE.find((name) => (o as Record<string, unknown>)[name] !== undefined) ?? null;
}

const isObject = (v: unknown): v is object => typeof v === "object" && v !== null;
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether a file is the other, byte for byte. */
function sameFile(file: SafetensorsFile, own: SafetensorsFile): boolean {
  if (file === own) return true;
  try {
    return (
      Buffer.compare(encodeSafetensors(file.tensors, file.metadata), encodeSafetensors(own.tensors, own.metadata)) === 0
    );
  } catch {
    return false;
  }
}

/**
 * Whether passports, bits and claim are the true credential's, whatever they are stored as. A bit
 * that is none (0, NaN) is none of another's.
 */
function isGenuine({ owner }: Claim, { credential }: TrueClaim): boolean {
  for (const [name, own] of credential.tensors) {
    if (!/\.passport\.(s?key|b)$/.test(name)) continue;
    const found = owner.tensors.get(name);
    if (!found || found.data.length !== own.data.length) return false;
    const differs = name.endsWith(".b") ? (v: number, w: number) => v * w < 0 : (v: number, w: number) => v !== w;
    if (toFloat32(found).some((v, i) => differs(v, Number(own.data[i])))) return false;
  }
  return ["claim", "format"].every((entry) => owner.metadata[entry] === credential.metadata[entry]);
}

/** Whether the credential says of its network what the true one says. */
const saysTheSame = ({ owner }: Claim, { credential }: TrueClaim): boolean =>
  ["model", "passports"].every((entry) => same(owner.metadata[entry], credential.metadata[entry]));

/** Payload and signature of a bundle, and its stamps, as they stand in its file. */
function partsOf(bundle: Bundle | string): { signed: string; stamps: string[] } | null {
  try {
    const { dsseEnvelope, verificationMaterial } = JSON.parse(
      typeof bundle === "string" ? bundle : encodeBundle(bundle),
    );
    const { payload, payloadType, signatures } = dsseEnvelope;
    const stamps = verificationMaterial.timestampVerificationData?.rfc3161Timestamps ?? [];
    return {
      signed: JSON.stringify([payload, payloadType, signatures.map((s: { sig: string }) => s.sig)]),
      stamps: stamps.map((s: { signedTimestamp: string }) => s.signedTimestamp),
    };
  } catch {
    return null;
  }
}

/** What commitment, released file and dates leave. */
function anchorage({ suspect, owner, options }: Claim, truth: TrueClaim): Ceiling {
  const { commitment, released, roots, published } = options;
  if (commitment === undefined || released === undefined) return { verdict: "mark present", why: "nothing anchors it" };
  const [found, own] = [partsOf(commitment), partsOf(truth.commitment)!];
  if (found?.signed !== own.signed) return refused("another commitment");
  if (!sameFile(owner, truth.credential)) return refused("another credential than was committed to");
  if (!sameFile(released as SafetensorsFile, truth.released))
    return refused("another released file than was committed to");
  const dated = found.stamps.some((s) => own.stamps.includes(s)) && roots?.some((r) => r === truth.root);
  // The stamp is accurate to a second.
  if (!dated || timeOf(published) <= Date.parse(STAMPED) + 1000 || published === undefined)
    return { verdict: "mark present", why: "no date before the suspect's" };
  if (sameFile(suspect, truth.released)) return { verdict: "holds as released", why: "" };
  return { verdict: "holds", why: "the suspect is another file" };
}

/** What a claim may get at most. */
function ceiling(claim: Claim, truth: TrueClaim): Ceiling {
  const { suspect, options } = claim;
  const odd = oddOption(options);
  if (odd !== null) return refused(odd);
  if (!isGenuine(claim, truth)) return refused("the credential is not the true one");
  const anchor = anchorage(claim, truth);
  const count = saysTheSame(claim, truth) ? matches(suspect, truth) : null;
  if (!count) return anchor;
  const { falsePositiveRate = RATE, suspects = 1 } = options;
  const needed = threshold(count.bound.bits, (falsePositiveRate * TRIALS) / suspects);
  if (count.bound.most >= needed) return anchor;
  const why = `${count.bound.most} of ${count.bound.bits} bound bits match, ${needed} are needed`;
  // Without its mark a suspect is a copy at most, where the claim is anchored.
  return RANKS.indexOf(anchor.verdict) > 1 ? { verdict: "copy of the committed network", why } : refused(why);
}

/** Whether the credential boasts: then what the papers check must not pass. */
function boasts({ suspect, owner, options }: Claim, truth: TrueClaim): string | null {
  const { test, tolerance = 0.03, transform } = options;
  if (test !== truth.test || transform !== undefined) return null;
  if (suspect.tensors !== truth.released.tensors || owner.tensors !== truth.credential.tensors) return null;
  const { private: claimed } = (JSON.parse(owner.metadata["claimed"] ?? "{}") ?? {}) as { private?: unknown };
  if (typeof claimed !== "number" || Math.abs(claimed - truth.accuracy) <= tolerance + 1e-9) return null;
  return `an accuracy of ${claimed} is claimed, it is ${truth.accuracy}`;
}

/** What is wrong with a verdict; null where it holds together. */
function wrongVerdict(claim: Claim, found: Verification, truth: TrueClaim): string | null {
  const { verdict, sentence, bound, open, mark, dated, examination, reasons } = found;
  if (!RANKS.includes(verdict)) return `verdict: ${String(verdict)}`;
  if ((bound === null) !== (verdict === "refused") || (bound !== null && !(bound > 0 && bound < 1)))
    return `a bound of ${bound}`;
  if ([sentence, ...open, ...reasons].some((r) => r.length > LONGEST_MESSAGE)) return "a reason that nobody can read";
  if (!JSON.stringify(found)) return "no JSON";
  if (dated && Date.parse(dated.time) !== Date.parse(STAMPED)) return `dated ${dated.time}, stamped ${STAMPED}`;
  if (!examination) {
    const isOther = reasons.some((r) => r.startsWith("the suspect is of another structure: "));
    return isOther && !mark?.bits ? null : "no examination";
  }
  const { bits, matched, pValue, layers } = examination;
  if (!(matched >= 0 && matched <= bits && pValue >= 0 && pValue <= 1)) return `${matched} of ${bits}, p = ${pValue}`;
  if (layers.reduce((n, l) => n + l.matched, 0) !== matched) return "layers that do not add up";
  if (!isGenuine(claim, truth) || !saysTheSame(claim, truth)) return null;
  const boast = boasts(claim, truth);
  if (boast !== null && examination.passes) return `the examination passes: ${boast}`;
  for (const { name } of layers)
    if (claim.owner.tensors.get(`${name}.passport.b`) !== truth.credential.tensors.get(`${name}.passport.b`))
      return null;
  const count = matches(claim.suspect, truth);
  if (!count) return null;
  const { all, bound: free } = count;
  if (matched < all.least || matched > all.most || bits !== all.bits)
    return `${matched} of ${bits} bits match, counted were ${all.least} to ${all.most} of ${all.bits}`;
  const own = mark?.bits;
  if (!own || (own.count === free.bits && own.hits >= free.least && own.hits <= free.most)) return null;
  return `${own.hits} of ${own.count} bound bits, counted were ${free.least} to ${free.most} of ${free.bits}`;
}

/** What the true claim gets when nothing was done to it: null where something was. */
function untouched({ edits, options }: Claim): VerdictName | null {
  if (!edits.every((edit) => edit === "nothing" || edit === "test images")) return null;
  return options.commitment ? "holds as released" : "mark present";
}

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const truth = await trueClaim();
  const tally: Record<VerdictName | "error" | "lowered" | "above", number> = {
    "holds as released": 0,
    holds: 0,
    "copy of the committed network": 0,
    "mark present": 0,
    refused: 0,
    error: 0,
    lowered: 0,
    above: 0,
  };
  const started = performance.now();
  await cases.each(
    CASES[task.size],
    async (random) => {
      const claim = mutantOf(random, truth);
      const most = ceiling(claim, truth);
      const done = claim.edits.join(", ");
      const before = memory();
      const answer = await refusable(() => verify(claim.suspect, claim.owner, claim.options)).catch((error: Error) => {
        throw Object.assign(error, { message: `${error.message} (${done})` });
      });
      const due = untouched(claim);
      if (most.verdict !== "holds as released") tally.lowered++;
      if ("refusal" in answer) {
        tally.error++;
        demand(due === null, `the true claim was refused: ${answer.refusal.message}`);
      } else {
        const { verdict, sentence } = answer.result;
        tally[verdict]++;
        const above = RANKS.indexOf(verdict) > RANKS.indexOf(most.verdict);
        if (above) tally.above++;
        demand(!above, `${verdict}, and ${most.verdict} at most: ${most.why} (${done})`);
        demand(due === null || verdict === due, `the true claim gets "${verdict}": ${sentence}`);
        const wrong = wrongVerdict(claim, answer.result, truth);
        demand(wrong === null, `${wrong} (${done})`);
      }
      const after = memory();
      const left = after.tensors - before.tensors;
      demand(left === 0 && after.storages === before.storages, `${left} tensors were left (${done})`);
    },
    { seconds: SECONDS[task.size] },
  );
  const rate = cases.count / ((performance.now() - started) / 1000);
  const verdicts = RANKS.map((name) => `${tally[name]} ${name}`).join(", ");
  return {
    figure: `${cases.count} claims${cases.count < CASES[task.size] && task.only === null ? ` (what ${SECONDS[task.size]} s hold)` : ""}: ${tally.error} errors, ${verdicts}; of ${tally.lowered} that another count lowers, ${tally.above} get more; ${cases.broken.length} broken promises`,
    facts: { ...tally, perSecond: rate },
  };
}

export default {
  promise: "no changed claim of ownership gets a verdict that its facts do not allow, nor an error not of the package",
  patience: 60,
  run,
} satisfies Part;
