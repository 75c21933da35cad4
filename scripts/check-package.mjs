/**
 * Checks the package as its users get it: `npm run build`, then `node scripts/check-package.mjs`.
 * Packs the tarball, looks at what is in it, installs it into a fresh TypeScript project in a
 * temporary folder, type-checks programs against it in several settings, and trains three steps
 * through `import` and through `require`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "./setup.mjs";

const LARGEST = 1_000_000;
const { devDependencies } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));

/**
 * What a user writes; the same text is compiled as an ES module (`import`) and as CommonJS
 * (`require`).
 */
const PROGRAM = `
import { Generator, SGD, Trainer, buildNetwork, type ConvNetConfig, imageSet, init } from "@pan/core";
import { dawn, describeAdapter } from "@pan/core/node";

async function main(): Promise<void> {
  const gpu: GPU = await dawn();
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter");
  const device = await init({ gpu });
  const labels = Uint8Array.from({ length: 24 }, (_, i) => i % 2);
  const random = new Generator(1);
  const images = Uint8Array.from({ length: 24 * 64 }, (_, i) => random.integer(90) + 150 * labels[Math.floor(i / 64)]!);
  const set = imageSet({ images, labels, channels: 1, height: 8, width: 8, classes: ["dark", "bright"] });
  const config: ConvNetConfig = {
    classes: 2,
    input: [8, 8, 1],
    layers: [{ channels: 8, kernel: 3, padding: 1 }, "pool"],
    scheme: "pan",
    passports: { 0: "A" },
  };
  const model = buildNetwork(config, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 8, readEvery: 1 });
  for await (const _ of trainer.fit(set, { epochs: 1 })) { /* three steps */ }
  const losses: number[] = trainer.history.steps.map((step) => step.loss);
  console.log(JSON.stringify({ system: typeof require === "undefined" ? "import" : "require", adapter: describeAdapter(adapter).name, device: device.name, losses }));
}

void main();
`;

/** A page's script: no Node types, module resolution as bundlers do it. */
const PAGE = `
import { type Device, init, Tensor } from "@pan/core";
export const start = async (): Promise<Device> => init({ adapter: (await navigator.gpu.requestAdapter())! });
export const ones = (): Tensor => Tensor.full([2, 3], 1);
`;

const strict = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, target: "ES2022" };
const CONFIGS = {
  "tsconfig.json": {
    compilerOptions: { ...strict, module: "NodeNext", types: ["node"], skipLibCheck: true, outDir: "out" },
    files: ["program.mts", "program.cts"],
  },
  "tsconfig.libs.json": { extends: "./tsconfig.json", compilerOptions: { skipLibCheck: false, noEmit: true } },
  "tsconfig.page.json": {
    compilerOptions: {
      ...strict,
      module: "ESNext",
      moduleResolution: "Bundler",
      types: [],
      skipLibCheck: false,
      noEmit: true,
    },
    files: ["page.ts"],
  },
};

function fail(message) {
  throw new Error(message);
}

/**
 * Runs a command to its end.
 * @returns what it printed.
 * @throws Error with all of it when it fails.
 */
function run(command, args, options = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd: projectRoot,
    encoding: "utf8",
    shell: process.platform === "win32", // npm is a batch file there.
    ...options,
  });
  if (status === 0) return stdout;
  throw new Error(
    `\`${[command, ...args].join(" ")}\` failed (${error?.message ?? signal ?? status}):\n${stdout}${stderr}`,
  );
}

function pack(folder) {
  if (!existsSync(join(projectRoot, "dist", "index.js"))) fail("dist/ is missing: run `npm run build` first");
  // Without `prepack`, which would build once more.
  const answer = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]);
  const [{ filename, size, files }] = JSON.parse(answer);
  const foreign = files
    .map((f) => f.path)
    .filter((path) => !/^(dist\/[^/]+\.(c?js|d\.c?ts)|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/.test(path));
  if (foreign.length) fail(`the tarball holds what it should not: ${foreign.join(", ")}`);
  const wanted = [
    "index.js",
    "index.cjs",
    "index.d.ts",
    "index.d.cts",
    "node.js",
    "node.cjs",
    "node.d.ts",
    "node.d.cts",
  ];
  const present = new Set(files.map((f) => f.path));
  const missing = [...wanted.map((name) => `dist/${name}`), "README.md", "CHANGELOG.md", "LICENSE"].filter(
    (path) => !present.has(path),
  );
  if (missing.length) fail(`the tarball lacks ${missing.join(", ")}`);
  if (size >= LARGEST) fail(`the tarball has ${size} bytes, ${LARGEST} are allowed`);
  console.log(`tarball: ${files.length} files, ${(size / 1000).toFixed(0)} kB`);
  return join(folder, filename);
}

function create(project) {
  mkdirSync(project);
  const files = { "program.mts": PROGRAM, "program.cts": PROGRAM, "page.ts": PAGE };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text);
  const configs = { ...CONFIGS, "package.json": { name: "user", private: true } };
  for (const [name, config] of Object.entries(configs)) writeFileSync(join(project, name), JSON.stringify(config));
}

/** Installs the tarball or development dependencies of this project, these in the same version. */
function install(project, ...names) {
  const packages = names.map((name) => (name in devDependencies ? `${name}@${devDependencies[name]}` : name));
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...packages], { cwd: project });
}

function typeCheck(project, config) {
  run(process.execPath, [join(project, "node_modules", "typescript", "bin", "tsc"), "-p", config], { cwd: project });
  console.log(`types: ${config} passes`);
}

function train(project, program) {
  const env = { PAN_SWIFTSHADER: join(projectRoot, ".adapter", "swiftshader"), ...process.env };
  const output = run(process.execPath, [join("out", program)], { cwd: project, env, timeout: 120_000 });
  const { system, device, losses } = JSON.parse(output);
  const good = losses.length === 3 && losses.every(Number.isFinite) && losses[2] < losses[0];
  if (!good) fail(`${system}: expected three finite losses that fall, got ${losses.join(", ")}`);
  console.log(`${system}: losses ${losses.map((l) => l.toFixed(4)).join(", ")} on ${device}`);
  return { system, losses };
}

const folder = mkdtempSync(join(tmpdir(), "pan-package-"));
try {
  const project = join(folder, "project");
  create(project);
  // A browser's project first: without `webgpu`, which would bring the types of WebGPU along.
  install(project, pack(folder), "typescript");
  typeCheck(project, "tsconfig.page.json");
  install(project, "@types/node", "webgpu");
  typeCheck(project, "tsconfig.libs.json");
  typeCheck(project, "tsconfig.json");
  const [esm, cjs] = [train(project, "program.mjs"), train(project, "program.cjs")];
  if (esm.system !== "import" || cjs.system !== "require")
    fail("the programs were not compiled to the two module systems");
  if (esm.losses.join() !== cjs.losses.join())
    fail(`import and require train differently: ${esm.losses} and ${cjs.losses}`);
  console.log("package: all is well");
} catch (error) {
  console.error(`package: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
