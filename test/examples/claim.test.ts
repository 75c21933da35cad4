/** The files that a run leaves for its owner's claim, and what a stranger makes of them. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bindNetwork,
  claimReport,
  datesOf,
  fewLooks,
  missing,
  type Saved,
  saveClaim,
  verifyClaim,
} from "../../examples/claim";
import { ArgumentError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { SGD } from "../../src/optim";
import type { Binding } from "../../src/ownership";
import type { Protected } from "../../src/passport";
import { decodeBundle } from "../../src/signing/bundle";
import { toPem } from "../../src/signing/pem";
import { Trainer } from "../../src/train";
import { gpu } from "../support/gpu";
import { authority, MARKED } from "../support/owner";
import { tinySet } from "../support/tiny";

const statement = "Trained by ACME";
const NONE = { stamp: undefined, root: undefined, published: undefined };

let out: string;
let model: Protected;
let binding: Binding;
let saved: Saved & { credential: string; commitment: string };

beforeAll(async () => {
  await gpu();
  out = await mkdtemp(join(tmpdir(), "pan-claim-"));
  model = buildNetwork(MARKED, { seed: 3 });
  ({ binding } = await bindNetwork(model, { statement, out, resume: false }));
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, signLoss: { alpha: 1 } });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs: 10 }));
  optimizer.dispose();
  saved = (await saveClaim(model, {}, out, binding)) as typeof saved;
});
afterAll(async () => {
  model.dispose();
  await rm(out, { recursive: true });
});

describe("the claim of a run", () => {
  it("keeps key and secret to their owner, and to the run: a resumed one has the same", async () => {
    for (const name of ["owner.key.pem", "binding.secret.json"])
      expect((await stat(join(out, name))).mode & 0o077, name).toBe(0);
    expect((await bindNetwork(model, { statement, out, resume: true })).binding).toEqual(binding);
    const other = bindNetwork(model, { statement: "Mine", out, resume: true });
    await expect(other).rejects.toThrow(/the run in .* says "Trained by ACME"/);
  });

  it("is told in a report: every file, digests of what is published, and nothing of what is secret", async () => {
    const files = await claimReport(saved, out);
    const written = (await readdir(out)).filter((name) => !name.endsWith(".tsr"));
    expect(files.map(({ path }) => basename(path)).sort()).toEqual(written.sort());
    for (const { path, bytes, secret, sha256 } of files) {
      const content = await readFile(path);
      expect(bytes).toBe(content.length);
      expect(secret === true, path).toBe(((await stat(path)).mode & 0o077) === 0);
      if (sha256) expect(sha256).toBe(createHash("sha256").update(content).digest("hex"));
      expect(sha256 !== undefined && secret).not.toBe(true);
    }
    const told = JSON.stringify(files);
    expect(told).not.toContain(binding.secret);
    expect(told).not.toMatch(/PRIVATE KEY/);
  });

  it("is a mark while nothing dates it, and says what is missing", async () => {
    const found = await verifyClaim(saved, NONE, {});
    expect(found.verdict).toBe("mark present");
    expect(found.released?.found).toBe(true);
    expect(missing(found, NONE)).toMatch(/a time stamp .*--stamp, --root.*, and the date .*--published/);
    expect(missing(found, { ...NONE, published: "2027-01-01" })).not.toContain("--published");
  });

  it("keeps its commitment for the same files, and holds once that is stamped and the suspect is later", async () => {
    const before = await readFile(saved.commitment, "utf8");
    await saveClaim(model, {}, out, binding);
    expect(await readFile(saved.commitment, "utf8")).toBe(before);

    const stamps = await authority();
    const stamped = await stamps.stamp(decodeBundle(before), "2026-05-01T00:00:00Z");
    await writeFile(join(out, "commitment.tsr"), stamped.timestamps[0]!);
    const root = join(out, "root.pem");
    await writeFile(root, toPem("CERTIFICATE", stamps.root));
    const later = { ...NONE, root, published: "2026-06-01" };
    expect((await verifyClaim(saved, later, {})).verdict).toBe("holds as released");
    expect((await verifyClaim(saved, { ...later, published: "2026-04-01" }, {})).verdict).toBe("mark present");

    await saveClaim(model, { public: 0.5 }, out, binding);
    expect(await readFile(saved.commitment, "utf8")).not.toBe(before);
    const stale = await verifyClaim(saved, later, {});
    expect(stale.verdict).toBe("mark present");
    expect(stale.reasons.join()).toContain("a time stamp does not count");
  });

  it("refuses a date that is none", () => {
    expect(() => datesOf({ stamp: "", root: "", published: "soon" })).toThrow(ArgumentError);
    expect(datesOf({ stamp: "", root: "r", published: "2026-12-24" })).toEqual({
      ...NONE,
      root: "r",
      published: "2026-12-24",
    });
  });
});

describe("looks at bound triggers", () => {
  it("are counted over the run, and too few are told with what helps", () => {
    const triggers = { count: 64, groups: 1 };
    expect(fewLooks(triggers, { steps: 6 * 60, triggerBatch: 12 })).toBeNull();
    // 688 photographs, batches of 20, 15 epochs: 18 of 64 were learnt.
    expect(fewLooks(triggers, { steps: 15 * 34, triggerBatch: 4 })).toMatch(
      /^64 bound ones, each seen 31 times, and some 60 are what they need: --trigger-batch 8$/,
    );
    expect(fewLooks(triggers, { steps: 20, triggerBatch: 200 })).toMatch(/seen 20 times.*more epochs, or fewer/);
  });
});
