/**
 * Some hundred mutants of a claim: none may get a verdict that the oracle says it must not, hang,
 * or give a raw error.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { buildNetwork } from "../../src/models";
import { bind, boundCredential, type Verification, verify } from "../../src/ownership";
import { memory } from "../../src/tensor/storage";
import { anchored } from "../support/anchored";
import { gpu } from "../support/gpu";
import { acme, bindingFor, MARKED } from "../support/owner";
import { tinySet } from "../support/tiny";
import { complaint, MUTATIONS, type MutantSource, possessionsOf, verifyMutants } from "../support/verify-mutants";

const KINDS = Object.keys(MUTATIONS).length;
const ROUNDS = 6;

let source: MutantSource;
let before: Verification;
beforeAll(async () => {
  await gpu();
  const { released, credential } = await acme();
  const anchor = await anchored({ released, credential });
  before = await verify(released, credential, anchor);
  expect(before).toMatchObject({ verdict: "holds as released", mark: { bits: { hits: 224 } } });
  const model = buildNetwork(MARKED, { seed: 4 });
  const binding = await bindingFor("mallory");
  await bind(model, binding);
  const theirs = await boundCredential(await model.credential(), binding);
  model.dispose();
  source = {
    released,
    credential,
    test: tinySet(30, 2),
    anchor,
    sha256: before.suspectSha256,
    possessions: await possessionsOf(released),
    other: await anchored({ released, credential: theirs }, { who: "mallory" }),
  };
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

  it(`give what the oracle says, ${ROUNDS} of each of ${KINDS} kinds`, { timeout: 180_000 }, async () => {
    const live = memory().tensors;
    const complaints: string[] = [];
    let left = ROUNDS * KINDS;
    for (const mutant of verifyMutants(source, 1)) {
      const found = await complaint(mutant, source, before, 20_000);
      if (found) complaints.push(found);
      if (--left === 0) break;
    }
    expect(complaints).toEqual([]);
    expect(memory().tensors).toBe(live);
  });
});
