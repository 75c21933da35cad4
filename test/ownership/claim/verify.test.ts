/** Claims of version 2 on a trained network: every verdict, and what keeps from it. */
import { beforeAll, describe, expect, it } from "vitest";
import { verify } from "../../../src/ownership";
import type { Bundle } from "../../../src/signing/bundle";
import { gpu } from "../../support/gpu";
import { acme, authority, dated, type Owned } from "../../support/owner";
import { tinySet } from "../../support/tiny";

let owned: Owned;
let stamps: Awaited<ReturnType<typeof authority>>;
let bundle: Bundle;
const DATED = "2026-01-01T00:00:00Z";
const LATER = "2026-06-01T00:00:00Z";

beforeAll(async () => {
  await gpu();
  owned = await acme();
  stamps = await authority();
  bundle = await dated(owned, stamps, DATED);
});

const all = () => ({ commitment: bundle, released: owned.released, roots: [stamps.root], published: LATER });

describe("a claim", () => {
  it("holds as released", async () => {
    const found = await verify(owned.released, owned.credential, { ...all(), test: tinySet(30, 2) });
    console.log(found.sentence, found.reasons, found.mark);
    expect(found.verdict).toBe("holds as released");
  });
});
