/** The worker that verifies and judges. It needs no WebGPU, and may connect to nothing. */
import { judge, PanError, type RivalFiles, verify } from "@pan/core/verify";
import { decodeWeights, type WeightsFile } from "@pan/core/weights";
import type { Job, JudgeJob, Reply, Side, VerifyJob } from "./jobs";
import { type NetworkFiles, partOf } from "./networks";
import { port } from "./port";

const bytes = async (file: File): Promise<Uint8Array> => new Uint8Array(await file.arrayBuffer());
/** A network in files of any kind that is read, with its own bytes for digests. */
const network = async (files: NetworkFiles): Promise<WeightsFile> =>
  decodeWeights(await bytes(files[0]!), { fetch: partOf(files) });
const all = (files: readonly File[]): Promise<Uint8Array[]> => Promise.all(files.map(bytes));

/** Roots may be texts: PEM is told from DER by them. */
const roots = async (files: readonly File[]): Promise<(string | Uint8Array)[]> =>
  (await all(files)).map((der) => (der[0] === 0x30 ? der : new TextDecoder().decode(der)));

async function verified({ suspect, credential, commitment, released, base, answer, ...job }: VerifyJob) {
  const { published, suspectSha256, suspects } = job;
  return verify(await network(suspect), await bytes(credential), {
    ...(commitment && { commitment: await commitment.text() }),
    ...(released && { released: await network(released) }),
    ...(base && { base: await network(base) }),
    ...(answer && { possession: { nonce: answer.nonce, signature: await bytes(answer.signature) } }),
    roots: await roots(job.roots),
    ...(published !== undefined && { published }),
    ...(suspectSha256 !== undefined && { suspectSha256 }),
    ...(suspects !== undefined && { suspects }),
  });
}

const side = async ({ credential, released, commitment }: Side): Promise<RivalFiles> => ({
  credential: await bytes(credential),
  released: await network(released),
  commitment: await commitment.text(),
});

async function judged({ a, b, suspect, base, ...job }: JudgeJob) {
  return judge(await side(a), await side(b), {
    roots: await roots(job.roots),
    ...(suspect && { suspect: await network(suspect) }),
    ...(base && { base: await network(base) }),
  });
}

const page = port<Job, Reply>();
page.onmessage = async ({ data: job }) => {
  try {
    page.postMessage({ value: job.kind === "verify" ? await verified(job) : await judged(job) });
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    page.postMessage({ error, explained: cause instanceof PanError });
  }
};
