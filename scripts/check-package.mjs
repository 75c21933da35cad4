/**
 * Checks the package as its users get it: `npm run build`, then `node scripts/check-package.mjs`.
 * Packs the tarball, looks at what is in it, installs it into a fresh TypeScript project in a
 * temporary folder, type-checks programs against all of its entries in several settings, trains
 * three steps through `import` and through `require`, and looks at what bundlers take of it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkBundles } from "./package/bundles.mjs";
import { checkVite } from "./package/cookbook.mjs";
import { checkNotices } from "./package/notices.mjs";
import { CONFIG, ENTRIES, SOURCES } from "./package/programs.mjs";
import { checkResolution } from "./package/resolution.mjs";
import { checkTypes, installCompilers } from "./package/types.mjs";
import { projectRoot } from "./setup.mjs";

const LARGEST = 2_500_000;
const { devDependencies } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));

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
    .filter(
      (path) =>
        !/^(dist\/[^/]+\.(c?js|js\.map|d\.c?ts)|docs\/(guide\/)?[^/]+\.(md|svg)|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|LICENSE|THIRD-PARTY-NOTICES\.txt|package\.json)$/.test(
          path,
        ),
    );
  if (foreign.length) fail(`the tarball holds what it should not: ${foreign.join(", ")}`);
  const wanted = ENTRIES.flatMap((name) => ["js", "cjs", "d.ts", "d.cts"].map((end) => `${name}.${end}`)).concat(
    "cli.js",
  );
  const present = new Set(files.map((f) => f.path));
  // What the pages at the package's root link to is there too: who reads them has no repository.
  const links = ["README.md", "CHANGELOG.md", "SECURITY.md"].flatMap((page) =>
    [...readFileSync(join(projectRoot, page), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, to]) => to),
  );
  const missing = [
    ...wanted.map((name) => `dist/${name}`),
    ...links,
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "THIRD-PARTY-NOTICES.txt",
  ].filter((path) => !present.has(path));
  missing.push(...[...present].filter((path) => /^dist\/.*\.js$/.test(path) && !present.has(`${path}.map`)));
  if (missing.length) fail(`the tarball lacks ${missing.join(", ")}`);
  if (size >= LARGEST) fail(`the tarball has ${size} bytes, ${LARGEST} are allowed`);
  console.log(`tarball: ${files.length} files, ${(size / 1000).toFixed(0)} kB`);
  return join(folder, filename);
}

/** Source maps of modules lead to the sources by the names that they have here, and hold them. */
function checkMaps() {
  const dist = join(projectRoot, "dist");
  const names = readdirSync(dist).filter((name) => /\.(js|cjs)$/.test(name));
  const sources = new Set();
  for (const name of names) {
    const lines = [...readFileSync(join(dist, name), "utf8").matchAll(/^\/\/# sourceMappingURL=(\S+)$/gm)];
    const named = lines.map(([, map]) => map).join();
    const wanted = name.endsWith(".js") ? `${name}.map` : "";
    if (named !== wanted) fail(`dist/${name} names the source map "${named}", not "${wanted}"`);
    if (named === "") continue;
    const map = JSON.parse(readFileSync(join(dist, named), "utf8"));
    for (const [i, source] of map.sources.entries()) {
      if (!/^\.\.\/(src|shaders|node_modules)\/[^:]+$/.test(source) || /\/\.\.\//.test(source.slice(3)))
        fail(`dist/${named} leads to ${source}, which is no source of the package`);
      if (map.sourcesContent?.[i] !== readFileSync(join(dist, source), "utf8"))
        fail(`dist/${named} does not hold ${source} as it is`);
      sources.add(source);
    }
  }
  console.log(`source maps: ${sources.size} sources`);
}

function create(project) {
  mkdirSync(project);
  for (const [name, text] of Object.entries(SOURCES)) writeFileSync(join(project, name), text);
  const configs = { "tsconfig.json": CONFIG, "package.json": { name: "user", private: true } };
  for (const [name, config] of Object.entries(configs)) writeFileSync(join(project, name), JSON.stringify(config));
}

/** Installs the tarball or development dependencies of this project, these in the same version. */
function install(project, ...names) {
  const packages = names.map((name) => (name in devDependencies ? `${name}@${devDependencies[name]}` : name));
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...packages], { cwd: project });
}

function compile(project) {
  run(process.execPath, [join(projectRoot, "node_modules", "typescript", "bin", "tsc"), "-p", project]);
}

function train(project, program) {
  const env = { PAN_SWIFTSHADER: join(projectRoot, ".adapter", "swiftshader"), ...process.env };
  const output = run(process.execPath, [join("out", program)], { cwd: project, env, timeout: 120_000 });
  const { system, device, losses, verdict, same, names } = JSON.parse(output);
  const good = losses.length === 3 && losses.every(Number.isFinite) && losses[2] < losses[0];
  if (!good) fail(`${system}: expected three finite losses that fall, got ${losses.join(", ")}`);
  console.log(`${system}: losses ${losses.map((l) => l.toFixed(4)).join(", ")} on ${device}`);
  if (!same) fail(`${system}: classes of one entry are not those of the others`);
  // Three steps teach no mark, and the committed file is checked for it.
  if (verdict !== "refused") fail(`${system}: a claim whose mark nobody trained gets the verdict "${verdict}"`);
  const empty = ENTRIES.filter((entry) => !names[entry]?.length);
  if (empty.length) fail(`${system}: nothing comes from ${empty.join(", ")}`);
  return { system, losses, names: JSON.stringify(names) };
}

/** The command line as `npx` finds it, on the files that a program has written. */
function commandLine(project) {
  const { version } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));
  const pan = (...words) => {
    const { status, stdout, stderr } = spawnSync("npx", ["--no-install", "@pan/core", ...words], {
      cwd: project,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    return { status, stdout, stderr };
  };
  const told = pan("--version");
  if (told.stdout.trim() !== version) fail(`pan --version: expected ${version}, got ${told.stdout}${told.stderr}`);
  const found = pan(
    ...["verify", "released.safetensors", "owner.safetensors", "--commitment", "commitment.json"],
    ...["--released", "released.safetensors", "--json"],
  );
  // Three steps teach no mark.
  const refused = found.status === 1 && JSON.parse(found.stdout).verdict === "refused";
  if (!refused)
    fail(`pan verify: expected a refusal and exit code 1, got ${found.status}: ${found.stdout}${found.stderr}`);
  const wrong = pan("inspect", "nowhere");
  if (wrong.status !== 2 || !/^error: nowhere: expected a file/.test(wrong.stderr))
    fail(`pan inspect of no file: exit code ${wrong.status}: ${wrong.stderr}`);
  console.log(`command line: pan ${version} by npx`);
}

const folder = mkdtempSync(join(tmpdir(), "pan-package-"));
try {
  const project = join(folder, "project");
  create(project);
  const tarball = pack(folder);
  checkMaps();
  await checkNotices();
  await checkResolution(tarball);
  const compilers = join(folder, "compilers");
  installCompilers(compilers, install);
  // Without `webgpu` first, which would bring the types of WebGPU along.
  install(project, tarball, "@types/node");
  await checkTypes(project, compilers, { webgpu: false });
  install(project, "@webgpu/types", "webgpu");
  await checkTypes(project, compilers, { webgpu: true });
  compile(project);
  const [esm, cjs] = [train(project, "program.mjs"), train(project, "program.cjs")];
  if (esm.system !== "import" || cjs.system !== "require")
    fail("the programs were not compiled to the two module systems");
  if (esm.losses.join() !== cjs.losses.join())
    fail(`import and require train differently: ${esm.losses} and ${cjs.losses}`);
  if (esm.names !== cjs.names) fail("import and require give other names");
  commandLine(project);
  await checkBundles(project);
  await checkVite(project);
  console.log("package: all is well");
} catch (error) {
  console.error(`package: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
