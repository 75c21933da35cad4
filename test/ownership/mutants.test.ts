/**
 * Some hundred mutants of a claim: none may hold where the oracle says it must not, hang, or give a
 * raw error.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { commit, type Verification, verify } from "../../src/ownership";
import { memory } from "../../src/tensor/storage";
import { boundClaim } from "../support/claims";
import { gpu } from "../support/gpu";
import { tinySet } from "../support/tiny";
import { complaint, MUTATIONS, type MutantSource, verifyMutants } from "../support/verify-mutants";

const KINDS = Object.keys(MUTATIONS).length;
const ROUNDS = 9;

let source: MutantSource;
let before: Verification;
beforeAll(async () => {
  await gpu();
  const { deployed, credential } = await boundClaim();
  source = { deployed, credential, test: tinySet(30, 2), commitment: await commit(credential, deployed) };
  before = await verify(deployed, credential);
  expect(before).toMatchObject({ holds: true, matched: 160 });
});

describe("mutants of a claim", () => {
  it("are the same for the same seed", () => {
    const names = (seed: number) => {
      const mutants = verifyMutants(source, seed);
      return Array.from({ length: 2 * KINDS }, () => (mutants.next().value as { name: string }).name);
    };
    expect(names(1)).toEqual(names(1));
    expect(new Set(names(1)).size).toBe(2 * KINDS);
  });

  it(`give what the oracle says, ${ROUNDS} of each of ${KINDS} kinds`, async () => {
    const live = memory().tensors;
    const complaints: string[] = [];
    let left = ROUNDS * KINDS;
    for (const mutant of verifyMutants(source, 1)) {
      const found = await complaint(mutant, before, 20_000);
      if (found) complaints.push(found);
      if (--left === 0) break;
    }
    expect(complaints).toEqual([]);
    expect(memory().tensors).toBe(live);
  });
});
