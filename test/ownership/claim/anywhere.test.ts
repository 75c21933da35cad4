/**
 * `@pan/core/verify` where there is no WebGPU: bundled for a page as its users do, run in every
 * JavaScript that is here, and held against what `@pan/core/ownership` finds.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runInNewContext } from "node:vm";
import { build, type Metafile } from "esbuild";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { disguise } from "../../../src/attacks";
import { encodeSafetensors, type SafetensorsFile } from "../../../src/io/safetensors";
import { loadDeployed } from "../../../src/models";
import { judge, openGroup, verify } from "../../../src/ownership";
import { triggerSet, triggerTransform } from "../../../src/ownership/claim/trigger-set";
import { verifyFiles } from "../../../src/ownership/verdict/verify-files";
import { encodeBundle } from "../../../src/signing/bundle";
import { predict } from "../../../src/train";
import { gpu } from "../../support/gpu";
import { acme, authority, dated, MARKED_TRIGGERS, type Owned, train } from "../../support/owner";
import { program } from "../../support/programs";

const ROOT = resolve(import.meta.dirname, "../../..");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const bytesOf = ({ tensors, metadata }: SafetensorsFile) => encodeSafetensors(tensors, metadata);

/** What every system runs: verdicts and a ruling on files that travel as text. */
const PROGRAM = `
import { FormatError, judge, verify, verifyAnswers } from "./verify.mjs";
import { files } from "./files.mjs";
const bytes = (name) => Uint8Array.from(atob(files[name]), (c) => c.charCodeAt(0));
const options = { commitment: files.commitment, released: bytes("released"), roots: [bytes("root")], published: files.published };
export async function outcome() {
  const found = [];
  for (const name of ["released", "hidden"]) found.push(await verify(bytes(name), bytes("credential"), options));
  const rival = { credential: bytes("credential"), released: bytes("released"), commitment: files.commitment };
  const ruling = await judge(rival, rival, { roots: options.roots });
  const answers = await verifyAnswers(files.answers, files.opening);
  const wrong = await verify(new TextEncoder().encode("PK"), bytes("credential")).catch((cause) => cause);
  return JSON.stringify({ found, ruling, answers, error: [wrong instanceof FormatError, wrong.message] });
}
`;

/**
 * Leaves of a system's globals what the language has, and what a worker at an edge gets: the names
 * of the language are those of a context that nothing was given to.
 */
const BARE = `
const language = new Set(${JSON.stringify(runInNewContext("Object.getOwnPropertyNames(globalThis)"))});
for (const name of ["crypto", "TextEncoder", "TextDecoder", "atob", "btoa"]) language.add(name);
const print = console.log;
for (const name of Object.getOwnPropertyNames(globalThis)) if (!language.has(name)) delete globalThis[name];
const left = ["navigator", "process", "Buffer", "document", "fetch"].filter((name) => globalThis[name] !== undefined);
if (left.length) throw new Error("still there: " + left);
const { outcome } = await import("./program.mjs");
print(await outcome());
`;

const PLAIN = `import { outcome } from "./program.mjs";\nconsole.log(await outcome());\n`;

let folder: string;
let owned: Owned;
let triggered: Owned;
let metafile: Metafile;
let expected: unknown;

beforeAll(async () => {
  await gpu();
  owned = await acme();
  triggered = await train("acme", { triggers: MARKED_TRIGGERS, epochs: 2, seed: 6 });
  const stamps = await authority();
  const bundle = await dated(owned, stamps, "2026-01-01T00:00:00Z");
  const hidden = disguise(owned.released, { permute: true, negate: 0.5, seed: 3 });
  const opening = await openGroup(triggered.credential, 0);
  const answers = Array<number>(60).fill(1);
  const files = {
    released: base64(bytesOf(owned.released)),
    hidden: base64(bytesOf(hidden)),
    credential: base64(bytesOf(owned.credential)),
    root: base64(stamps.root),
    commitment: encodeBundle(bundle),
    published: "2026-06-01",
    opening,
    answers,
  };
  folder = mkdtempSync(join(tmpdir(), "pan-anywhere-"));
  const built = await build({
    entryPoints: [join(ROOT, "src/entry/verify.ts")],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    outfile: join(folder, "verify.mjs"),
    metafile: true,
    absWorkingDir: ROOT,
    logLevel: "silent",
  });
  metafile = built.metafile;
  writeFileSync(join(folder, "files.mjs"), `export const files = ${JSON.stringify(files)};\n`);
  for (const [name, text] of Object.entries({ program: PROGRAM, bare: BARE, plain: PLAIN }))
    writeFileSync(join(folder, `${name}.mjs`), text);
  const options = { commitment: bundle, released: owned.released, roots: [stamps.root], published: "2026-06-01" };
  const rival = { credential: owned.credential, released: owned.released, commitment: bundle };
  expected = JSON.parse(
    JSON.stringify({
      found: [await verify(owned.released, owned.credential, options), await verify(hidden, owned.credential, options)],
      ruling: await judge(rival, rival, { roots: [stamps.root] }),
    }),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function expectSame(printed: string): void {
  const { answers, error, ...rest } = JSON.parse(printed) as Record<string, unknown>;
  expect(rest).toEqual(expected);
  expect(answers).toMatchObject({ count: 60, classes: 3, marked: false });
  expect(error).toEqual([true, expect.stringMatching(/safetensors/)]);
}

const [deno, bun] = [program("deno"), program("bun")];
const chrome = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
if (!existsSync(chrome)) console.warn(`Verifying in Chromium is skipped: there is no ${chrome}.`);

/** What a program prints. @throws Error with the end of what it complained of. */
function printed(command: string, args: string[]): string {
  const env = { PATH: process.env["PATH"] };
  const { status, stdout, stderr } = spawnSync(command, args, {
    ...{ cwd: folder, env, encoding: "utf8", maxBuffer: 2 ** 26 },
  });
  // A minified line may stand in front of it.
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.slice(-1000)}`);
  return stdout;
}

describe("the entry for verifiers", () => {
  it("is made of nothing that needs a device, a network or Node", () => {
    const files = Object.keys(metafile.inputs);
    expect(files).toContain("src/ownership/verdict/verification.ts");
    const foreign = files.filter((file) =>
      /^(shaders|node_modules|src\/(gpu|nn|optim|train|node|attacks|watermarks))\//.test(file),
    );
    expect(foreign).toEqual([]);
    const tensors = files.filter((file) => file.startsWith("src/tensor/"));
    expect(tensors.sort()).toEqual(["src/tensor/ops/norm/eps.ts", "src/tensor/ops/windows.ts", "src/tensor/shape.ts"]);
    const imports = Object.values(metafile.inputs).flatMap(({ imports }) => imports.filter((i) => i.external));
    expect(imports).toEqual([]);
    expect(readFileSync(join(folder, "verify.mjs"), "utf8")).not.toMatch(/navigator|\bprocess\b|requestAdapter/);
  });

  it("gives the same verdicts in Node, without webgpu", () => {
    expectSame(printed(process.execPath, ["plain.mjs"]));
  });

  it("gives them where there is nothing but the language, WebCrypto and encodings", () => {
    expectSame(printed(process.execPath, ["bare.mjs"]));
  });

  it.skipIf(!deno)("gives them in Deno, which is permitted nothing", () => {
    expectSame(printed(deno!, ["run", "--no-prompt", "--no-config", "plain.mjs"]));
  });

  it.skipIf(!bun)("gives them in Bun", () => {
    expectSame(printed(bun!, ["plain.mjs"]));
  });

  it.skipIf(!existsSync(chrome))("gives them in Chromium with its GPU off, in a page and in a worker", async () => {
    const worker = `import { outcome } from "./program.mjs";\nself.postMessage(await outcome());\n`;
    const page = `<!doctype html><script type="module">
      import { outcome } from "./program.mjs";
      const inWorker = new Promise((resolve, reject) => {
        const worker = new Worker("./worker.mjs", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
      window.outcome = Promise.all([outcome(), inWorker]);
      window.adapter = navigator.gpu ? navigator.gpu.requestAdapter() : null;
    </script>`;
    const server = createServer((request, response) => {
      const name = (request.url ?? "/").slice(1);
      const own: Readonly<Record<string, string>> = { "": page, "worker.mjs": worker };
      const there = existsSync(join(folder, name));
      const text = own[name] ?? (there ? readFileSync(join(folder, name), "utf8") : null);
      const type = name === "" ? "text/html" : "text/javascript";
      response.writeHead(text === null ? 404 : 200, { "content-type": type }).end(text ?? "");
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const flags = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--no-first-run"];
    const browser = await chromium.launch({ executablePath: chrome, args: flags });
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      expect(await tab.evaluate("window.adapter")).toBeNull();
      const outcomes = await tab.evaluate<string[]>("window.outcome");
      expect(outcomes).toHaveLength(2);
      for (const outcome of outcomes) expectSame(outcome);
    } finally {
      await browser.close();
      server.close();
      server.closeAllConnections();
    }
  });
});

describe("triggers", () => {
  it("are asked by whatever runs networks, and count as if the device had", async () => {
    const network = loadDeployed(triggered.released);
    const asked: number[] = [];
    const found = await verifyFiles(triggered.released, triggered.credential, {
      ask: async (file, { inputs, count, ...questions }) => {
        expect(file.tensors.size).toBe(triggered.released.tensors.size);
        asked.push(count);
        const spec = { ...MARKED_TRIGGERS, ...questions, count };
        return predict(network, triggerSet(spec, inputs, new Int32Array(count)), { transform: triggerTransform(spec) });
      },
    });
    network.dispose();
    const device = await verify(triggered.released, triggered.credential);
    expect(asked).toEqual([60, 60]);
    expect(found.mark).toEqual(device.mark);
    expect([found.verdict, found.sentence]).toEqual([device.verdict, device.sentence]);
  });

  it("are said to be unasked where nothing runs networks", async () => {
    const negated = disguise(triggered.released, { permute: true, negate: 0.5, seed: 2 });
    const found = await verifyFiles(negated, triggered.credential);
    expect(found).toMatchObject({ verdict: "refused", mark: { triggers: null, found: false } });
    expect(found.sentence).toBe(
      "The claim's mark is not in the suspect as far as its bits go; its triggers were not asked.",
    );
    expect(found.reasons.join("\n")).toMatch(/the triggers were not asked: nothing that runs networks was given/);
  });

  it("refuse answers that are not one class an input", async () => {
    for (const answers of [[1], Array(60).fill(-1), Array(60).fill(0.5), "0"])
      await expect(
        verifyFiles(triggered.released, triggered.credential, { ask: () => answers as number[] }),
      ).rejects.toThrow(/ask/);
    await expect(verifyFiles(triggered.released, triggered.credential, { ask: 1 as never })).rejects.toThrow(
      /ask is a function/,
    );
  });
});
