/** The trained networks in examples/pretrained: that they are what was put there, and whose. */
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadPretrained, PRETRAINED, pretrainedNames } from "../../examples/pretrained/load";
import { ship, tableOf } from "../../examples/pretrained/ship";
import { checkSums, writeSums } from "../../examples/pretrained/sums";
import { verify } from "../../src/entry/verify";
import { ArgumentError, FormatError, LimitError } from "../../src/errors";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-pretrained-"));
});
afterAll(() => rm(folder, { recursive: true }));

const NAMES = await pretrainedNames();

it("are there, and the table of README.md is of them", async () => {
  expect(NAMES).toContain("resnet9-pan");
  expect(await readFile(join(PRETRAINED, "README.md"), "utf8")).toContain(await tableOf());
});

describe.each(NAMES)("%s", (name) => {
  it("is as its digests say, fits in 2 MB, and has a card with its digest", async () => {
    const { folder, deployed } = await loadPretrained(name);
    const sums = (await checkSums(folder))!;
    const files = (await readdir(folder)).filter((file) => file !== "SHA256SUMS").sort();
    expect([...sums.keys()]).toEqual(files);
    expect((await stat(join(folder, "deployed.safetensors"))).size).toBeLessThanOrEqual(2 ** 21);
    expect(deployed.tensors.size).toBeGreaterThan(0);
    const card = await readFile(join(folder, "README.md"), "utf8");
    expect(card).toContain(sums.get("deployed.safetensors"));
    expect(card).toContain("npm run cifar10 --");
  });

  it("bears its owner's claim, which holds, if it has one", async () => {
    const { deployed, credential, commitment, root } = await loadPretrained(name);
    if (!credential) return expect(commitment).toBeNull();
    const released = await readFile(join(PRETRAINED, name, "deployed.safetensors"));
    const found = await verify(released, await readFile(join(PRETRAINED, name, "owner.credential.safetensors")), {
      ...{ commitment: commitment!, released, roots: [root!], published: "2026-06-01" },
    });
    expect(found.verdict).toBe("holds as released");
    expect(found.statement).toContain("given away to everybody");
    expect(deployed.metadata["format"]).toBeDefined();
  });
});

it("refuses names that are none of them", async () => {
  await expect(loadPretrained("resnet-9")).rejects.toThrow(ArgumentError);
  await expect(loadPretrained("../attacks")).rejects.toThrow(/a pretrained network expected \(.*resnet9-pan/);
});

it("refuses files that are not those of the digests", async () => {
  const copy = join(folder, "copy");
  await mkdir(copy);
  const own = join(PRETRAINED, NAMES[0]!);
  for (const file of await readdir(own)) await copyFile(join(own, file), join(copy, file));
  await expect(loadPretrained("copy", folder)).resolves.toMatchObject({ name: "copy" });
  // What the digests do not name may be anybody's.
  const sums = await readFile(join(copy, "SHA256SUMS"), "utf8");
  for (const less of ["", sums.replace(/^.*deployed\.safetensors\n/m, "")]) {
    await writeFile(join(copy, "SHA256SUMS"), less);
    await expect(loadPretrained("copy", folder)).rejects.toThrow(/SHA256SUMS does not name it/);
  }
  await writeFile(join(copy, "SHA256SUMS"), sums);
  const path = join(copy, "deployed.safetensors");
  const bytes = await readFile(path);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(path, bytes);
  await expect(loadPretrained("copy", folder)).rejects.toThrow(/deployed\.safetensors: not the file that SHA256SUMS/);
  await rm(path);
  await expect(loadPretrained("copy", folder)).rejects.toThrow(/SHA256SUMS names it, and it cannot be read/);
  await writeFile(join(copy, "SHA256SUMS"), "nonsense\n");
  await expect(loadPretrained("copy", folder)).rejects.toThrow(
    /lines as sha256sum prints them expected, found "nonsense"/,
  );
  await writeFile(join(copy, "SHA256SUMS"), `${"0".repeat(64)}  ../escape\n`);
  await expect(loadPretrained("copy", folder)).rejects.toThrow(FormatError);
  await rm(join(copy, "SHA256SUMS"));
  await expect(loadPretrained("copy", folder)).rejects.toThrow(/digests of its files expected/);
});

it("writes digests that sha256sum accepts", async () => {
  const plain = join(folder, "digests");
  await mkdir(join(plain, "inner"), { recursive: true });
  for (const name of ["b", "a c"]) await writeFile(join(plain, name), name);
  await writeSums(plain);
  expect([...(await checkSums(plain))!.keys()]).toEqual(["a c", "b"]);
  if (process.platform === "linux") execFileSync("sha256sum", ["--quiet", "-c", "SHA256SUMS"], { cwd: plain });
  expect(await checkSums(join(plain, "inner"))).toBeNull();
});

it("ships a run: its network, its card, how it was trained", async () => {
  const [run, into] = [join(folder, "run"), join(folder, "into")];
  for (const path of [run, into]) await mkdir(path);
  await expect(ship(run, "a", "", into)).rejects.toThrow(ArgumentError);
  const epochs = [{ epoch: 1, loss: 1.5, public: 0.4, seconds: 3 }];
  const report = {
    ...{ command: "npm run cifar10 -- --scheme plain", adapter: { name: "x" }, data: { train: 9, test: 5 } },
    ...{ network: { arch: "resnet9", scheme: "plain", parameters: 1234 }, settings: { width: 0.25 } },
    ...{ seconds: 1800, forged: [], verdict: null },
  };
  await copyFile(join(PRETRAINED, NAMES[0]!, "deployed.safetensors"), join(run, "deployed.safetensors"));
  for (const [name, value] of Object.entries({ history: { epochs }, data: { name: "CIFAR-10" }, report }))
    await writeFile(join(run, `${name}.json`), JSON.stringify(value));
  const shipped = await ship(run, "shipped", "", into);
  await expect(ship(run, "shipped", "", into)).rejects.toThrow(/a name that is free expected, found "shipped"/);
  expect((await loadPretrained("shipped", into)).credential).toBeNull();
  const card = await readFile(join(shipped, "README.md"), "utf8");
  expect(card).toContain("| CIFAR-10 | accuracy | 0.4 |");
  expect(card).toContain("npm run cifar10 -- --scheme plain");
  expect(card).toContain("| 1 | 1.500 | 40.0 % | – | – | – | 3 |");
  expect(await tableOf(into)).toContain("| resnet9, plain, width 0.25 | 1,234 | 40.0 % | – | – | – | – | 1 | 0.5 |");
  await writeFile(join(run, "deployed.safetensors"), Buffer.alloc(2 ** 21 + 1));
  await expect(ship(run, "b", "", into)).rejects.toThrow(LimitError);
});
