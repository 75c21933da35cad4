/**
 * `verify` and `judge`, each asked twice where no network has to run: with the device, and from
 * files alone. Both must say the same. Tests that take the two from here are the sweep of it.
 */
import { expect } from "vitest";
import { PanError } from "../../src/errors";
import {
  type Judgment,
  judge as judgeOnDevice,
  type Verification,
  verify as verifyOnDevice,
} from "../../src/ownership";
import { judgeFiles } from "../../src/ownership/verdict/judge-files";
import { verifyFiles } from "../../src/ownership/verdict/verify-files";

/** How many verdicts were compared. */
export const compared = { verdicts: 0, rulings: 0, errors: 0 };

const settled = <T>(promise: Promise<T>): Promise<T | PanError> =>
  promise.catch((cause: unknown) => {
    if (cause instanceof PanError) return cause;
    throw cause;
  });

/** An error but for the names of options, which are the device's and more. */
const described = ({ name, message }: PanError) => ({ name, message: message.replace(/one of [\w, ]+ expected/, "") });

/** The same error from both, which is thrown then. */
function expectSameError(found: unknown, files: unknown): void {
  if (!(found instanceof PanError) && !(files instanceof PanError)) return;
  expect(files).toBeInstanceOf(PanError);
  expect(described(files as PanError)).toEqual(described(found as PanError));
  compared.errors++;
  throw found;
}

export async function verify(...[suspect, credential, options]: Parameters<typeof verifyOnDevice>) {
  const found = await settled(verifyOnDevice(suspect, credential, options));
  const { test, transform: _t, tolerance: _o, model, ...evidence } = options ?? {};
  if (model !== undefined) return fresh(found);
  const files = await settled(verifyFiles(suspect, credential, evidence));
  expectSameError(found, files);
  const [a, b] = [found as Verification, files as Verification];
  const asked = a.mark?.triggers || a.released?.triggers;
  // What ran adds accuracies and triggers, and nothing else.
  const bits = (of: Verification) => [of.mark?.bits, of.mark?.turned, of.released?.bits, of.dated, of.relation];
  expect(bits(b)).toEqual(bits(a));
  if (test === undefined && !asked) expect(b).toEqual(a);
  if (asked) {
    expect(b.mark?.triggers ?? null).toBeNull();
    expect(b.reasons.join("\n")).toMatch(/the triggers were not asked: nothing that runs networks was given/);
  } else expect([b.verdict, b.sentence, b.bound, b.open]).toEqual([a.verdict, a.sentence, a.bound, a.open]);
  compared.verdicts++;
  return a;
}

export async function judge(...[a, b, options]: Parameters<typeof judgeOnDevice>): Promise<Judgment> {
  const found = await settled(judgeOnDevice(a, b, options));
  const files = await settled(judgeFiles(a, b, options));
  expectSameError(found, files);
  expect(files).toEqual(found);
  compared.rulings++;
  return found as Judgment;
}

function fresh<T>(value: T | PanError): T {
  if (value instanceof PanError) throw value;
  return value;
}
