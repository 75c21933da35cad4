/**
 * What bundlers leave in a page that uses a part of the package: with esbuild and with Rollup, both
 * minified by esbuild.
 */
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { rollup } from "rollup";
import { projectRoot } from "../setup.mjs";

/**
 * Texts that minifying leaves as they are, each of a part that is seen in nothing that does not use
 * it.
 */
const MARKERS = {
  "claims of ownership": "pan-claim-2",
  "forgeries of claims": "forgeBoundClaim",
  "removal of marks": "fineTune",
  commitments: "urn:pan-core:claim:2",
  "time stamps": "1.3.6.1.5.5.7.3.8",
  devices: "createComputePipelineAsync",
};

/**
 * Programs, the parts that have to be in them, and the most bytes that they may have, minified, and
 * zipped behind that. Of the last two the markers are seen to work.
 */
const PROGRAMS = {
  error: {
    text: `import { ShapeError } from "@pan/core";\nexport { ShapeError };`,
    parts: [],
    most: 1_000,
  },
  reader: {
    text: `import { decodeSafetensors } from "@pan/core";\nexport { decodeSafetensors };`,
    parts: [],
    most: 20_000,
  },
  pictures: {
    text: `import { normalize } from "@pan/core/data";\nexport { normalize };`,
    parts: [],
    most: 6_000,
  },
  tensor: {
    text: `import { Tensor } from "@pan/core";\nexport const ones = () => Tensor.full([2, 3], 1);`,
    parts: ["devices"],
    most: 100_000,
  },
  layer: {
    text: `import * as nn from "@pan/core/nn";\nexport const layer = () => new nn.Linear(3, 2);`,
    parts: ["devices"],
    most: 190_000,
  },
  verifier: {
    text: `import { verify } from "@pan/core/ownership";\nexport { verify };`,
    parts: ["claims of ownership", "commitments", "time stamps", "devices"],
    most: 490_000,
  },
  files: {
    text: `import { judge, verify } from "@pan/core/verify";\nexport { judge, verify };`,
    parts: ["claims of ownership", "commitments", "time stamps"],
    most: 152_000,
    zipped: 57_000,
  },
  exporter: {
    text: `import { exportOnnx } from "@pan/core/onnx";\nexport { exportOnnx };`,
    parts: ["devices"],
    most: 290_000,
  },
  attacker: {
    text: `import { fineTune, forgeBoundClaim } from "@pan/core/attacks";\nexport { fineTune, forgeBoundClaim };`,
    parts: ["claims of ownership", "forgeries of claims", "removal of marks", "devices"],
    most: Number.POSITIVE_INFINITY,
  },
};

const zip = (code) => gzipSync(code, { level: 9 }).length;
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

/** Prints what the verifiers' entry is made of: bytes of the minified bundle by folder. */
async function showVerifier() {
  const { metafile } = await build({
    entryPoints: [join(projectRoot, "src", "entry", "verify.ts")],
    absWorkingDir: projectRoot,
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const sizes = new Map();
  for (const [file, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
    const folder = file.split("/").slice(0, 2).join("/").replace(/\.ts$/, "");
    sizes.set(folder, (sizes.get(folder) ?? 0) + bytesInOutput);
  }
  const rows = [...sizes].filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a);
  for (const [folder, bytes] of rows) console.log(`  ${folder.padEnd(16)} ${kB(bytes).padStart(8)}`);
}

/** @returns the one minified file that esbuild makes. */
async function byEsbuild(file) {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    legalComments: "none",
    logLevel: "silent",
  });
  return outputFiles[0].text;
}

/** @returns the one file that Rollup makes, minified by esbuild. */
async function byRollup(file, root) {
  const { exports, sideEffects } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const place = (id) => exports[id.replace("@pan/core", ".")].import.default;
  const bundle = await rollup({
    input: file,
    plugins: [{ name: "package", resolveId: (id) => (id.startsWith("@pan/core") ? join(root, place(id)) : null) }],
    // What bundlers that resolve packages read in package.json.
    treeshake: { moduleSideEffects: (id) => id === file || (sideEffects || []).some((at) => id === join(root, at)) },
    onwarn: (warning) => {
      throw new Error(`Rollup warns: ${warning.message}`);
    },
  });
  const { output } = await bundle.generate({ format: "esm" });
  await bundle.close();
  const { code } = await transform(output[0].code, { minify: true, legalComments: "none" });
  return code;
}

/**
 * Bundles programs in a project that has the package installed.
 * @throws Error for a program that holds a part that it does not use, or lacks one that it does, or
 * is larger than it may be.
 */
export async function checkBundles(project) {
  const root = realpathSync(join(project, "node_modules", "@pan", "core"));
  for (const [name, { text, parts, most, zipped = Number.POSITIVE_INFINITY }] of Object.entries(PROGRAMS)) {
    const file = join(project, `${name}.js`);
    writeFileSync(file, text);
    const codes = { esbuild: await byEsbuild(file), Rollup: await byRollup(file, root) };
    for (const [bundler, code] of Object.entries(codes)) {
      for (const [part, marker] of Object.entries(MARKERS))
        if (code.includes(marker) !== parts.includes(part))
          throw new Error(`${bundler}: the program "${name}" ${code.includes(marker) ? "holds" : "lacks"} ${part}`);
      if (code.length > most)
        throw new Error(`${bundler}: the program "${name}" has ${code.length} bytes, ${most} are allowed`);
      if (zip(code) > zipped)
        throw new Error(`${bundler}: the program "${name}" has ${zip(code)} bytes zipped, ${zipped} are allowed`);
    }
    const sizes = Object.entries(codes).map(
      ([bundler, code]) => `${kB(code.length)} by ${bundler}, ${kB(zip(code))} zipped`,
    );
    console.log(`bundle: ${name}, ${sizes.join(", ")}`);
  }
  await showVerifier();
}
