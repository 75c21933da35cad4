/**
 * `mutants`: a true claim of ownership, changed in files and options. No verdict "holds" where a
 * count apart from the package says that it cannot, no error that is not the package's, nothing
 * left on the device.
 */
import { init, memory, toFloat32 } from "@pan/core";
import { dawn } from "@pan/core/node";
import { type VerifyOptions, verify } from "@pan/core/ownership";
import { type Claim, matches, mutantOf, type TrueClaim, threshold, trueClaim } from "./claims";
import { type Cases, demand, LONGEST_MESSAGE, type Part, refusable, type Task } from "./part";

const CASES = { commit: 5000, full: 100_000 };
const SECONDS = { commit: 60, full: 1800 };
const RATE = 1e-6;
/** Secrets that nobody can try: what a claim without a commitment is held to. */
const UNCOMMITTED = 2 ** -80;

const isShare = (v: unknown): boolean => v === undefined || (typeof v === "number" && v >= 0 && v <= 1);

/** An option that is none: whatever it was meant to say, nothing may hold by it. */
function oddOption(o: VerifyOptions): string | null {
  const { tolerance, falsePositiveRate: rate, requireBinding, commitment } = o as Record<string, unknown>;
  if (!isShare(tolerance)) return `tolerance ${String(tolerance)}`;
  if (!isShare(rate) || rate === 0 || rate === 1) return `falsePositiveRate ${String(rate)}`;
  if (requireBinding !== undefined && typeof requireBinding !== "boolean")
    return `requireBinding ${String(requireBinding)}`;
  if (commitment !== undefined && (typeof commitment !== "object" || commitment === null)) return "no commitment";
  return null;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Whether passports, bits and binding are the true credential's, whatever they are stored as. A bit
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
  return ["binding", "format"].every((entry) => owner.metadata[entry] === credential.metadata[entry]);
}

/** Whether the credential says of its network what the true one says. */
const saysTheSame = ({ owner }: Claim, { credential }: TrueClaim): boolean =>
  ["model", "passports"].every((entry) => same(owner.metadata[entry], credential.metadata[entry]));

/** Why a claim cannot hold; null where it may. */
function cannotHold(claim: Claim, truth: TrueClaim): string | null {
  const { suspect, options, owner } = claim;
  const odd = oddOption(options);
  if (odd !== null) return odd;
  if (!isGenuine(claim, truth)) return "the credential is not the true one";
  if (options.commitment && options.commitment.claim !== truth.commitment.claim) return "another commitment";
  const { test, tolerance = 0.03, falsePositiveRate = RATE, reference } = options;
  // A reference may put channels back: then the weights as they are say nothing.
  const count = reference === undefined && saysTheSame(claim, truth) ? matches(suspect, truth) : null;
  if (count) {
    const needed = threshold(count.all.bits, falsePositiveRate);
    if (count.all.most < needed) return `${count.all.most} of ${count.all.bits} bits match, ${needed} are needed`;
    const bound = threshold(count.bound.bits, options.commitment ? falsePositiveRate : UNCOMMITTED);
    if (count.bound.most < bound)
      return `${count.bound.most} of ${count.bound.bits} bound bits match, ${bound} are needed`;
  }
  if (test !== truth.test || suspect.tensors !== truth.deployed.tensors) return null;
  if (owner.tensors !== truth.credential.tensors || options.transform !== undefined) return null;
  if (!saysTheSame(claim, truth)) return null;
  const { private: claimed } = (JSON.parse(owner.metadata["claimed"] ?? "{}") ?? {}) as { private?: unknown };
  if (typeof claimed !== "number" || Math.abs(claimed - truth.accuracy) <= tolerance + 1e-9) return null;
  return `an accuracy of ${claimed} is claimed, it is ${truth.accuracy}`;
}

/** What is wrong with a verdict; null where it holds together. */
function wrongVerdict(claim: Claim, found: Awaited<ReturnType<typeof verify>>, truth: TrueClaim): string | null {
  const { bits, matched, pValue, holds, reasons, layers } = found;
  if (typeof holds !== "boolean") return `holds: ${String(holds)}`;
  if (!(matched >= 0 && matched <= bits && pValue >= 0 && pValue <= 1)) return `${matched} of ${bits}, p = ${pValue}`;
  if (reasons.some((r) => r.length > LONGEST_MESSAGE)) return "a reason that nobody can read";
  if (!JSON.stringify(found)) return "no JSON";
  if (layers.reduce((n, l) => n + l.matched, 0) !== matched) return "layers that do not add up";
  if (claim.options.reference !== undefined || !isGenuine(claim, truth)) return null;
  if (!saysTheSame(claim, truth)) return null;
  for (const { name } of layers)
    if (claim.owner.tensors.get(`${name}.passport.b`) !== truth.credential.tensors.get(`${name}.passport.b`))
      return null;
  const count = matches(claim.suspect, truth);
  if (!count || (matched >= count.all.least && matched <= count.all.most && bits === count.all.bits)) return null;
  return `${matched} of ${bits} bits match, counted were ${count.all.least} to ${count.all.most} of ${count.all.bits}`;
}

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const truth = await trueClaim();
  const tally = { holds: 0, fails: 0, refused: 0, cannot: 0, wronglyHolds: 0 };
  const started = performance.now();
  await cases.each(
    CASES[task.size],
    async (random) => {
      const claim = mutantOf(random, truth);
      const why = cannotHold(claim, truth);
      const before = memory();
      const verdict = await refusable(() => verify(claim.suspect, claim.owner, claim.options)).catch((error: Error) => {
        throw Object.assign(error, { message: `${error.message} (${claim.edits.join(", ")})` });
      });
      if (why !== null) tally.cannot++;
      if ("refusal" in verdict) {
        tally.refused++;
        const whole = claim.edits.every((edit) => edit === "nothing");
        demand(!whole, `the true claim was refused: ${verdict.refusal.message}`);
      } else {
        const { result } = verdict;
        tally[result.holds ? "holds" : "fails"]++;
        if (result.holds && why !== null) tally.wronglyHolds++;
        demand(!(result.holds && why !== null), `it holds, and cannot: ${why} (${claim.edits.join(", ")})`);
        const whole = claim.edits.every((edit) => edit === "nothing" || edit === "test images");
        demand(result.holds || !whole, `the true claim does not hold: ${result.reasons.join("; ")}`);
        const wrong = wrongVerdict(claim, result, truth);
        demand(wrong === null, `${wrong} (${claim.edits.join(", ")})`);
      }
      const after = memory();
      const left = after.tensors - before.tensors;
      demand(left === 0 && after.storages === before.storages, `${left} tensors were left (${claim.edits.join(", ")})`);
    },
    { seconds: SECONDS[task.size] },
  );
  const rate = cases.count / ((performance.now() - started) / 1000);
  return {
    figure: `${cases.count} claims${cases.count < CASES[task.size] && task.only === null ? ` (what ${SECONDS[task.size]} s hold)` : ""}: ${tally.refused} refused, ${tally.fails} do not hold, ${tally.holds} hold; of ${tally.cannot} that cannot hold by another count, ${tally.wronglyHolds} do; ${cases.broken.length} broken promises`,
    facts: { ...tally, perSecond: rate },
  };
}

export default {
  promise: "no changed claim of ownership holds that cannot, and none ends in an error that is not the package's",
  patience: 60,
  run,
} satisfies Part;
