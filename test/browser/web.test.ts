/** The page of `web/`, built as for its users and tried in a real browser. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile, type StateDict } from "@pan/core";
import { buildNetwork } from "@pan/core/models";
import { bind, boundCredential, provePossession } from "@pan/core/ownership";
import { verify } from "@pan/core/verify";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HEADERS, POLICY } from "../../web/policy";
import { signedState } from "../support/claims";
import { gpu } from "../support/gpu";
import { bindingFor, MARKED, signerFor } from "../support/owner";
import { torchFile } from "../support/torch";
import { environment, executablePath, FLAGS, missing } from "./chromium";

const ROOT = resolve(import.meta.dirname, "../..");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The files of the example, in the order of the page's fields. */
const FILES = {
  "suspect.safetensors": "web/example",
  "owner.credential.safetensors": "examples/pretrained/resnet9-pan",
  "commitment.sigstore.json": "examples/pretrained/resnet9-pan",
  "deployed.safetensors": "examples/pretrained/resnet9-pan",
  "root.pem": "examples/pretrained/resnet9-pan",
} as const;
const pathOf = (name: keyof typeof FILES): string => join(ROOT, FILES[name], name);
const example = (name: keyof typeof FILES): Buffer => readFileSync(pathOf(name));
const NAMES = Object.keys(FILES) as (keyof typeof FILES)[];

/** The page takes its time on a machine that is busy. */
const eventually = <T>(read: () => Promise<T>) => expect.poll(read, { timeout: 30_000 });

/** Tensors as a model of TensorFlow.js, in two shards. */
function tfjsOf(tensors: StateDict): { name: string; buffer: Buffer }[] {
  const floats = [...tensors].filter(([, { dtype }]) => dtype === "F32");
  const weights = floats.map(([name, { shape }]) => ({ name, shape, dtype: "float32" }));
  const all = Buffer.concat(floats.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
  const paths = ["shard-1.bin", "shard-2.bin"];
  const model = { modelTopology: {}, weightsManifest: [{ paths, weights }] };
  return [
    { name: "model.json", buffer: Buffer.from(JSON.stringify(model)) },
    { name: "shard-1.bin", buffer: all.subarray(0, 1001) },
    { name: "shard-2.bin", buffer: all.subarray(1001) },
  ];
}

/** What `axe-core` complains of. */
interface Violation {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

describe.skipIf(missing)("the page", () => {
  let folder: string;
  let server: PreviewServer;
  let url: string;
  /** Without WebGPU: verifying needs none. */
  let browser: Browser;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "pan-web-"));
    const shared = { configFile: join(ROOT, "web/vite.config.ts"), logLevel: "error" as const };
    await build({ ...shared, build: { outDir: folder } });
    server = await preview({ ...shared, build: { outDir: folder }, preview: { host: "127.0.0.1", port: 0 } });
    const address = server.httpServer.address();
    url = `http://127.0.0.1:${(address as { port: number }).port}/`;
    const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run"];
    browser = await chromium.launch({ executablePath, args: flags, env: environment() });
  }, 900_000);

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A fresh page, and what went wrong in it or was asked of others by it. */
  async function open(
    hash = "",
    { in: where = browser, ...options }: BrowserContextOptions & { in?: Browser } = {},
  ): Promise<{ page: Page; complaints: string[] }> {
    const page = await where.newPage(options);
    page.setDefaultTimeout(60_000);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) complaints.push(request.url());
    });
    await page.goto(`${url}${hash}`);
    return { page, complaints };
  }

  const field = (page: Page, label: string): Locator =>
    page.getByLabel(label, { exact: false }).and(page.locator("input")).first();
  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

  async function verifyExample(page: Page): Promise<void> {
    await press(page, "Load an example");
    await page.locator("#panel-verify .notice").waitFor();
    await press(page, "Verify");
    await page.locator("#panel-verify .verdict").waitFor();
  }

  async function violations(page: Page): Promise<Violation[]> {
    // Colours on their way from one to another are neither.
    await page.evaluate("Promise.allSettled(document.getAnimations().map((a) => a.finished))");
    await page.evaluate(AXE);
    const found = await page.evaluate<Violation[]>("axe.run().then((found) => found.violations)");
    return found.map(({ id, nodes }) => ({
      id,
      nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })),
    }));
  }

  const sideways = (page: Page) =>
    page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");

  it("verifies the example: what it says, its dates, γ", async () => {
    const { page, complaints } = await open();
    await verifyExample(page);
    const expected = await verify(example("suspect.safetensors"), example("owner.credential.safetensors"), {
      released: example("deployed.safetensors"),
      commitment: example("commitment.sigstore.json").toString(),
      roots: [example("root.pem").toString()],
      published: "2026-06-01",
    });
    expect(expected.verdict).toBe("holds");
    const panel = page.locator("#panel-verify");
    expect(await panel.locator(".badge").textContent()).toBe(expected.verdict);
    expect(await panel.locator(".sentence").textContent()).toBe(expected.sentence);
    expect(await panel.getByRole("status").first().textContent()).toBe(
      `Verdict: ${expected.verdict}. ${expected.sentence}`,
    );
    expect(await panel.locator(".timeline time").allTextContents()).toEqual([
      "2026-03-02 09:00 UTC",
      "2026-06-01 00:00 UTC",
    ]);
    const shown = await panel.textContent();
    for (const sentence of [...expected.open, ...expected.reasons, expected.suspectSha256])
      expect(shown).toContain(sentence);
    const { layers } = expected.examination!;
    expect(await panel.locator(".gamma svg").count()).toBe(layers.length);
    expect(await panel.locator(".gamma .fits").count()).toBe(layers.reduce((n, l) => n + l.matched, 0));
    // Every channel can be read, and nothing speaks of others.
    expect(await panel.locator(".unread").count()).toBe(0);
    expect(await panel.textContent()).not.toMatch(/cannot be read|filter is all zeros/i);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it.each([
    "light",
    "dark",
  ] as const)("shows what nobody can read as that, and as no miss (%s)", async (colorScheme) => {
    // Of one layer some filters are zeros and one is turned, of another all are zeros.
    const { tensors, metadata } = decodeSafetensors(example("suspect.safetensors"));
    const filters = (name: string, change: (weight: number, filter: number) => number) => {
      const { shape, data, ...rest } = tensors.get(name)!;
      const changed = Float32Array.from(data as Float32Array, (w, i) =>
        change(w, Math.floor(i / (data.length / shape[0]!))),
      );
      return [name, { ...rest, shape, data: changed }] as const;
    };
    const wiped = new Map([
      ...tensors,
      filters("layer4.0.convbn_2.conv.weight", (w, o) => (o === 5 ? -w : o >= 100 ? 0 : w)),
      filters("layer4.0.shortcut.conv.weight", () => 0),
    ]);
    const buffer = Buffer.from(encodeSafetensors(wiped, metadata));
    const { examination } = await verify(buffer, example("owner.credential.safetensors"));
    const { layers } = examination!;
    const { page, complaints } = await open("", { colorScheme });
    await field(page, "Suspect").setInputFiles({ name: "pruned.safetensors", mimeType: "", buffer });
    await field(page, "Credential").setInputFiles(pathOf("owner.credential.safetensors"));
    await press(page, "Verify");
    const panel = page.locator("#panel-verify");
    await panel.locator(".verdict").waitFor();
    const drawn = (of: string) => panel.locator(`.gamma ${of}`).count();
    const sum = (read: (layer: (typeof layers)[number]) => number) => layers.reduce((n, l) => n + read(l), 0);
    expect(await drawn(".unread")).toBe(28 + 128);
    expect(await drawn(".fits")).toBe(sum(({ matched }) => matched));
    expect(await drawn(".misses")).toBe(sum(({ bits, matched }) => bits - matched));
    expect(await drawn(".misses")).toBeGreaterThan(0);
    expect(await panel.locator(".key").count()).toBe(1);
    const captions = await panel.locator(".gamma figcaption").allTextContents();
    expect(captions.map((caption) => /Cannot be read: channels/.test(caption))).toEqual([false, true, true]);
    expect(captions[1]).toMatch(/Do not fit: channels 5\. Cannot be read: channels 100, 101, .* 123 and 4 more\.$/);
    expect(captions[2]).toMatch(/^layer4\.0\.shortcut\.bn 0 of 0 signs fit\. Cannot be read: channels 0, 1, /);
    expect(await panel.locator(".gamma svg").last().getAttribute("aria-label")).toMatch(/, 128 cannot be read$/);
    // Hollow: filled with what lies behind it, and with neither of the bars' colours.
    const look = (of: string) =>
      panel
        .locator(`.gamma ${of}`)
        .first()
        .evaluate((mark) => {
          const { fill, stroke } = getComputedStyle(mark);
          return { fill, stroke, behind: getComputedStyle(mark.closest("figure")!).backgroundColor };
        });
    const [hollow, miss, fit] = [await look(".unread"), await look(".misses"), await look(".fits")];
    expect(hollow.fill).toBe(hollow.behind);
    expect([miss.fill, fit.fill, hollow.behind, "none"]).not.toContain(hollow.stroke);
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("sorts files that are dropped together by what is in them", async () => {
    const { page, complaints } = await open();
    const files = NAMES.map((name) => [name, example(name).toString("base64")]);
    // As a text, which the test runner leaves as it is.
    await page.evaluate(`{
      const transfer = new DataTransfer();
      for (const [name, text] of ${JSON.stringify(files)}.reverse())
        transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
      document.querySelector("#panel-verify form").dispatchEvent(
        new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }`);
    const names = () =>
      page.evaluate<string[]>(
        `[...document.querySelectorAll("#panel-verify input[type=file]")].map((i) => i.files[0]?.name ?? "")`,
      );
    // The places of the answer to a nonce and of a public base stay empty, and so does that of
    // roots: who hands over the files may not say whose dates are believed.
    await eventually(names).toEqual([...NAMES.map((name) => (name === "root.pem" ? "" : name)), "", ""]);
    await eventually(() => page.locator("#panel-verify").getByRole("status").first().textContent()).toBe(
      "Left aside, as certificates, which make an authority trusted: choose those that you trust yourself: root.pem.",
    );
    await field(page, "Root certificates").setInputFiles(pathOf("root.pem"));
    await field(page, "Published").fill("2026-02-01");
    await press(page, "Verify");
    // The suspect was there before the commitment: a mark and no more.
    await eventually(() => page.locator("#panel-verify .badge").textContent()).toBe("mark present");
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("keeps the example's authority and date to the example's files", async () => {
    const { page, complaints } = await open();
    await press(page, "Load an example");
    const root = page.locator("#panel-verify input[type=file]").nth(NAMES.indexOf("root.pem"));
    const roots = () => root.evaluate((input: HTMLInputElement) => input.files!.length);
    await eventually(roots).toBe(1);
    await field(page, "Suspect").setInputFiles(pathOf("deployed.safetensors"));
    await eventually(roots).toBe(0);
    expect(await field(page, "Published").inputValue()).toBe("");
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("names the field that has the wrong file, and takes the focus there", async () => {
    const { page, complaints } = await open();
    await press(page, "Verify");
    await eventually(() => page.getByRole("alert").textContent()).toMatch(
      /^No verdict\. .*choose a network \(safetensors, PyTorch, ONNX, TensorFlow\.js\) first\.$/,
    );
    const suspect = field(page, "Suspect");
    await suspect.setInputFiles({ name: "photo.png", mimeType: "image/png", buffer: Buffer.from("\x89PNG and more") });
    await field(page, "Credential").setInputFiles(pathOf("owner.credential.safetensors"));
    await press(page, "Verify");
    const wrong =
      "Suspect: a network (safetensors, PyTorch, ONNX, TensorFlow.js) expected, and photo.png is a file of another kind.";
    await eventually(() => page.getByRole("alert").textContent()).toBe(`No verdict. ${wrong}`);
    expect(await suspect.evaluate((input) => input === document.activeElement)).toBe(true);
    expect(await suspect.getAttribute("aria-invalid")).toBe("true");
    const damaged = example("suspect.safetensors").subarray(0, 20_000);
    await suspect.setInputFiles({ name: "damaged.safetensors", mimeType: "", buffer: damaged });
    await press(page, "Verify");
    await eventually(() => page.getByRole("alert").textContent()).toMatch(/^No verdict\. .*(bytes|end)/);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("takes suspects of other programs, in one file and in several", async () => {
    const { page, complaints } = await open();
    const { tensors } = decodeSafetensors(example("suspect.safetensors"));
    const expected = await verify(example("suspect.safetensors"), example("owner.credential.safetensors"));
    await field(page, "Credential").setInputFiles(pathOf("owner.credential.safetensors"));
    const panel = page.locator("#panel-verify");
    const verdict = async (files: { name: string; buffer: Buffer }[]) => {
      await field(page, "Suspect").setInputFiles(files.map((file) => ({ mimeType: "", ...file })));
      await panel.locator(".findings").evaluate((findings) => findings.replaceChildren());
      await press(page, "Verify");
      await eventually(() => panel.locator(".badge").textContent()).toBe(expected.verdict);
      const shown = await panel.textContent();
      const { hits, count } = expected.mark!.bits!;
      expect(shown).toContain(`${hits} of ${count} bits fit`);
      return shown!;
    };
    const pth = Buffer.from(torchFile(tensors));
    expect(await verdict([{ name: "suspect.pth", buffer: pth }])).toContain(
      createHash("sha256").update(pth).digest("hex"),
    );
    const model = tfjsOf(tensors);
    expect(await verdict(model)).toContain("as the one file that pan convert makes of it");
    // Without its shards, and with what it does not name.
    const alert = () => page.getByRole("alert").textContent();
    await field(page, "Suspect").setInputFiles({ ...model[0]!, mimeType: "" });
    await press(page, "Verify");
    await eventually(alert).toBe(
      "No verdict. Suspect: model.json names shard-1.bin, shard-2.bin: choose them together with it.",
    );
    const strange = { name: "suspect.pth", buffer: pth };
    await field(page, "Suspect").setInputFiles([...model, strange].map((file) => ({ mimeType: "", ...file })));
    await press(page, "Verify");
    await eventually(alert).toMatch(/model\.json does not name suspect\.pth/);
    // Dropped at once with a credential, they are told apart all the same.
    const dropped = [...model, { name: "c.safetensors", buffer: example("owner.credential.safetensors") }];
    await field(page, "Suspect").setInputFiles([]);
    await page.evaluate(`{
      const transfer = new DataTransfer();
      for (const [name, text] of ${JSON.stringify(dropped.map(({ name, buffer }) => [name, buffer.toString("base64")]))})
        transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
      document.querySelector("#panel-verify .field input").dispatchEvent(
        new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }`);
    const chosen = () =>
      page.evaluate<string[]>(
        `[...document.querySelectorAll("#panel-verify input[type=file]")].slice(0, 2).map((i) => [...i.files].map((f) => f.name).join())`,
      );
    await eventually(chosen).toEqual(["model.json,shard-1.bin,shard-2.bin", "c.safetensors"]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("makes a nonce, shows the command that signs it, and counts the answer", async () => {
    await gpu();
    const network = buildNetwork(MARKED, { seed: 4 });
    const binding = await bindingFor("acme");
    await bind(network, binding);
    await signedState(network, MARKED);
    const file = ({ tensors, metadata }: SafetensorsFile) => Buffer.from(encodeSafetensors(tensors, metadata));
    const suspect = file(await network.deployed());
    const credential = file(await boundCredential(await network.credential(), binding));
    network.dispose();
    const { page, complaints } = await open();
    await field(page, "Suspect").setInputFiles({ name: "it's.safetensors", mimeType: "", buffer: suspect });
    await field(page, "Credential").setInputFiles({ name: "c.safetensors", mimeType: "", buffer: credential });
    await page.getByText("Ask whether the claimant has the key").focus();
    await page.keyboard.press("Enter");
    await press(page, "Make a nonce");
    const nonce = await field(page, "Nonce").inputValue();
    expect(nonce).toMatch(/^[0-9a-f]{64}$/);
    expect(await page.locator(".command").textContent()).toBe(
      `npx @pan/core prove 'it'\\''s.safetensors' --nonce ${nonce} --key owner.key.pem --out answer.sig`,
    );
    expect(await violations(page)).toEqual([]);
    await press(page, "Verify");
    await eventually(() => page.getByRole("alert").textContent()).toMatch(/Answer: choose the file/);
    const answer = async (who: "acme" | "mallory") => {
      const { signature } = await provePossession(await signerFor(who), nonce, suspect);
      await field(page, "Answer").setInputFiles({ name: "answer.sig", mimeType: "", buffer: Buffer.from(signature) });
      await press(page, "Verify");
    };
    const panel = page.locator("#panel-verify");
    await answer("acme");
    await eventually(() => panel.locator(".badge").textContent()).toBe("mark present");
    expect(await panel.textContent()).toContain("It answered your nonce, about this very suspect.");
    await answer("mallory");
    await eventually(() => panel.locator(".badge").textContent()).toBe("refused");
    expect(await panel.locator(".sentence").textContent()).toContain("did not sign the verifier's nonce");
    await field(page, "Nonce").fill("");
    await press(page, "Verify");
    await eventually(() => page.getByRole("alert").textContent()).toMatch(/Nonce: give the one that the answer is to/);
    expect(await field(page, "Nonce").evaluate((input) => input === document.activeElement)).toBe(true);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("judges the example", async () => {
    const { page, complaints } = await open("#judge");
    await press(page, "Load an example of a dispute");
    await page.locator("#panel-judge .notice").waitFor();
    await press(page, "Judge");
    const panel = page.locator("#panel-judge");
    await panel.locator(".verdict").waitFor();
    expect(await panel.locator(".badge").textContent()).toBe("A prevails");
    expect(await panel.locator(".timeline time").allTextContents()).toEqual([
      "2026-03-02 09:00 UTC",
      "2026-06-03 16:30 UTC",
    ]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("goes by keys from tab to tab", async () => {
    const { page } = await open();
    await page.getByRole("tab", { name: "Verify" }).focus();
    const chosen = () => page.locator('[role="tab"][aria-selected="true"]').textContent();
    for (const [key, name] of [
      ["ArrowRight", "Judge"],
      ["End", "Train"],
      ["ArrowRight", "Verify"],
    ] as const) {
      await page.keyboard.press(key);
      expect(await chosen()).toBe(name);
      expect(await page.locator(":focus").textContent()).toBe(name);
      expect(await page.locator("[role=tabpanel]:not([hidden])").count()).toBe(1);
    }
    await page.close();
  });

  it.each([
    "light",
    "dark",
  ] as const)("has nothing that axe complains of, nor scrolls sideways (%s)", async (colorScheme) => {
    for (const width of [360, 1400]) {
      const { page } = await open("", { colorScheme, viewport: { width, height: 900 } });
      await verifyExample(page);
      expect(await violations(page)).toEqual([]);
      expect(await sideways(page)).toBe(0);
      await page.getByRole("tab", { name: "Judge" }).click();
      await press(page, "Load an example of a dispute");
      await page.locator("#panel-judge .notice").waitFor();
      await press(page, "Judge");
      await page.locator("#panel-judge .verdict").waitFor();
      expect(await violations(page)).toEqual([]);
      expect(await sideways(page)).toBe(0);
      await page.getByRole("tab", { name: "Train" }).click();
      await page.locator("#panel-train form").waitFor();
      expect(await violations(page)).toEqual([]);
      expect(await sideways(page)).toBe(0);
      await page.close();
    }
  });

  it("may connect to nothing, workers neither, with headers and without", async () => {
    expect((await fetch(url)).headers.get("content-security-policy")).toBe(HEADERS["content-security-policy"]);
    const tries = `const tried = async (what) => { try { await what(); return "sent"; } catch { return "refused"; } };`;
    const attempt = `tried(() => fetch(${JSON.stringify(url)}))`;
    for (const headers of [true, false]) {
      const page = await browser.newPage();
      const sent: string[] = [];
      page.on("request", (request) => sent.push(request.resourceType()));
      // A host that sends no headers: the policy in the page holds by itself.
      if (!headers)
        await page.route("**/*", async (route) => {
          const response = await route.fetch();
          const { "content-security-policy": _, ...rest } = response.headers();
          await route.fulfill({ response, headers: rest });
        });
      await page.goto(url);
      await page.getByRole("tab", { name: "Verify" }).waitFor();
      const inPage = page.locator('meta[http-equiv="Content-Security-Policy"]');
      expect(await inPage.getAttribute("content")).toBe(POLICY);
      expect(await page.evaluate(`(async () => { ${tries} return ${attempt}; })()`)).toBe("refused");
      const worker = `${tries} ${attempt}.then((word) => postMessage(word));`;
      const said = await page.evaluate(`new Promise((resolve) => {
        const worker = new Worker(URL.createObjectURL(new Blob([${JSON.stringify(worker)}])));
        worker.onmessage = ({ data }) => resolve(data);
      })`);
      expect(said).toBe("refused");
      expect(sent.filter((kind) => kind === "fetch" || kind === "xhr")).toEqual([]);
      await page.close();
    }
  });

  it("says where there is no WebGPU, and that the rest works", async () => {
    const { page, complaints } = await open("#train");
    await eventually(() => page.locator("#panel-train").getByRole("status").first().textContent()).toMatch(
      /no WebGPU.*Verify and Judge work/,
    );
    expect(await page.getByRole("button", { name: "Train", exact: true }).isDisabled()).toBe(true);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("trains, signs, gives away and verifies; secrets are in downloads alone", async () => {
    const gpu = await chromium.launch({ executablePath, args: FLAGS, env: environment() });
    try {
      const hash = "#train?epochs=1&images=100&testImages=20&triggers=0&statement=Trained by a test";
      const { page, complaints } = await open(hash, { in: gpu });
      const panel = page.locator("#panel-train");
      await press(page, "Train");
      await panel.locator(".verdict").waitFor({ timeout: 280_000 });
      expect(await panel.locator(".badge").textContent()).toMatch(/mark present|refused/);
      const saved = async (name: string): Promise<Buffer> => {
        const [download] = await Promise.all([page.waitForEvent("download"), press(page, `Download ${name}`)]);
        expect(download.suggestedFilename()).toBe(name);
        return readFileSync(await download.path());
      };
      const released = await saved("deployed.safetensors");
      const credential = await saved("owner.credential.safetensors");
      const commitment = (await saved("commitment.sigstore.json")).toString();
      const found = await verify(released, credential, { released, commitment });
      expect(found.statement).toBe("Trained by a test");
      expect(await panel.locator(".sentence").textContent()).toBe(found.sentence);
      expect(decodeSafetensors(released).metadata["format"]).toBe("pan-deployed-2");
      const { secret } = JSON.parse((await saved("binding.secret.json")).toString()) as { secret: string };
      const key = (await saved("owner.key.pem")).toString().split("\n")[1]!;
      expect(secret).toMatch(/^[0-9a-f]{64}$/);
      const html = await page.content();
      for (const hidden of [secret, key]) expect(html).not.toContain(hidden);
      await press(page, "Open it in Verify");
      await press(page, "Verify");
      await eventually(() => page.locator("#panel-verify .badge").textContent()).toBe(found.verdict);
      expect(complaints).toEqual([]);
    } finally {
      await gpu.close();
    }
  }, 400_000);

  it("pauses a training, goes on, and signs what is there when it shall finish", async () => {
    const gpu = await chromium.launch({ executablePath, args: FLAGS, env: environment() });
    try {
      const { page, complaints } = await open("#train?epochs=50&images=500&testImages=20", { in: gpu });
      const panel = page.locator("#panel-train");
      const said = () => panel.getByRole("status").first().textContent();
      const step = () => panel.locator("progress").evaluate((bar) => (bar as HTMLProgressElement).value);
      await press(page, "Train");
      // At once: nothing runs yet that could be stopped.
      await press(page, "Pause");
      await expect.poll(said, { timeout: 120_000 }).toBe("Paused.");
      await press(page, "Go on");
      await expect.poll(step, { timeout: 180_000 }).toBeGreaterThan(0);
      await press(page, "Pause");
      await expect.poll(said, { timeout: 120_000 }).toBe("Paused.");
      const before = await step();
      await press(page, "Go on");
      await expect.poll(step, { timeout: 120_000 }).toBeGreaterThan(before);
      await press(page, "Finish now");
      await panel.locator(".verdict").waitFor({ timeout: 180_000 });
      expect(await panel.getByRole("button", { name: /^Download/ }).count()).toBe(6);
      expect(await panel.getByRole("button", { name: "Train", exact: true }).isEnabled()).toBe(true);
      expect(complaints).toEqual([]);
    } finally {
      await gpu.close();
    }
  }, 600_000);
});
