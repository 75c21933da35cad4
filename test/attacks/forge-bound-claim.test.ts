/** Bound claims that are forged: what they do to claims of version 1, and that the copies compute the same. */
import { beforeAll, describe, expect, it } from "vitest";
import { type BoundForgeryMeans, type BoundForgeryOptions, forgeBoundClaim } from "../../src/attacks";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { commit, matchThreshold, readBinding, verify } from "../../src/ownership";
import { gpu } from "../support/gpu";
import { BOUND, boundClaim } from "../support/claims";
import { tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

it("try", async () => {
  const owner = await boundClaim();
  const test = tinySet(60, 2);
  for (const means of ["none", "negation", "permutation", "inputScaling", "all"] as BoundForgeryMeans[]) {
    const t = performance.now();
    const f = await forgeBoundClaim(owner.deployed, BOUND, { means, seed: 1 });
    const ms = performance.now() - t;
    const v = await verify(f.network, f.credential, { test });
    const w = await verify(owner.deployed, f.credential, { test, reference: f.network });
    console.log(means, ms, f.matched, f.bits, v.holds, w.holds, v.accuracy, v.bound?.threshold, w.matched);
  }
  const t = performance.now();
  for (let seed=0; seed<3; seed++) {
  const g = await forgeBoundClaim(owner.deployed, BOUND, { means: "none", seed, tries: 500 });
  console.log(g.matched, matchThreshold(160, 1e-3), performance.now() - t);
  }
}, 60000);
