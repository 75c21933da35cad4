/** What is bundled of others, and whether THIRD-PARTY-NOTICES.txt, which ships, has its terms. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { projectRoot } from "../setup.mjs";

/** @returns names of the packages of which anything is in a bundle of the entries. */
async function bundledPackages() {
  const { metafile } = await build({
    entryPoints: [
      "src/cli/main.ts",
      ...readdirSync(join(projectRoot, "src", "entry")).map((file) => `src/entry/${file}`),
    ],
    absWorkingDir: projectRoot,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    external: ["webgpu", "sharp"],
    outdir: "out",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const parts = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const names = parts.flatMap(([file, { bytesInOutput }]) =>
    bytesInOutput > 0 ? (/.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []) : [],
  );
  return [...new Set(names)].sort();
}

/** Words in a row, however lines are broken. */
const words = (text) => text.split(/\s+/).join(" ").trim();

/**
 * @throws Error for a bundled package whose terms the notices lack, and for one that is bundled no
 * more.
 */
export async function checkNotices() {
  const [, ...sections] = readFileSync(join(projectRoot, "THIRD-PARTY-NOTICES.txt"), "utf8").split(/^-{20,}\n/m);
  const notices = new Map(sections.map((text) => [text.split("\n", 1)[0], words(text)]));
  const bundled = await bundledPackages();
  for (const name of bundled) {
    const folder = join(projectRoot, "node_modules", name);
    const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    if (file === undefined) throw new Error(`notices: ${name} is bundled and has no licence in its folder`);
    if (!notices.get(name)?.includes(words(readFileSync(join(folder, file), "utf8"))))
      throw new Error(`notices: ${name} is bundled, and THIRD-PARTY-NOTICES.txt lacks its ${file}`);
  }
  const others = [...notices.keys()].filter((name) => !bundled.includes(name));
  if (others.length > 0) throw new Error(`notices: ${others.join(", ")} is named and not bundled`);
  console.log(`notices: ${bundled.join(", ")}`);
}
