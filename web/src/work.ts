/** Jobs in workers of their own: the page stays usable, and a job can be given up. */
import type { Job, Reply, ResultOf } from "./jobs";
import { Refusal } from "./refusal";
import VerifierWorker from "./verifier?worker&inline";

/**
 * Works a job out.
 * @throws Refusal for files that are none, and whatever else a person can put right; an AbortError
 * where the signal says so.
 */
export function workOut<J extends Job>(job: J, signal: AbortSignal): Promise<ResultOf<J>> {
  const worker = new VerifierWorker();
  return new Promise<ResultOf<J>>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    worker.onerror = (event) => reject(new Error(event.message || "the worker did not start"));
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if ("value" in data) resolve(data.value as ResultOf<J>);
      else reject(data.explained ? new Refusal(data.error) : new Error(data.error));
    };
    worker.postMessage(job);
  }).finally(() => worker.terminate());
}
