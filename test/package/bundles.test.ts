/**
 * What bundlers make of the package: nothing stays that is not used, and errors keep their names.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import * as errors from "../../src/errors";

const root = fileURLToPath(new URL("../..", import.meta.url));

async function bundled(text: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: text, resolveDir: root, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    platform: "neutral",
    mainFields: ["module", "main"],
    external: ["node:*", "webgpu", "sharp"],
    logLevel: "silent",
    absWorkingDir: root,
  });
  return outputFiles[0]!.text;
}

/** The sources in some folders, but for what is installed there. */
const sources = (...folders: string[]): string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.m?[jt]s$/.test(file) && !/(^|[\\/])node_modules[\\/]/.test(file))
      .map((file) => join(root, folder, file)),
  );

describe("a bundler", () => {
  it("is told of every kernel that making it does nothing else", () => {
    const made = sources("src", "shaders").flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/(\S+ \S+ \S+) defineKernel\(/g)].map(
        ([, before]) => `${file}: ${before}`,
      ),
    );
    expect(made.length).toBeGreaterThan(60);
    expect(made.filter((line) => !line.endsWith("/* @__PURE__ */"))).toEqual([]);
  });

  it("takes a few hundred bytes for one error class", async () => {
    const code = await bundled(`export { ShapeError } from "./src/entry/index";`);
    expect(code).toContain("PAN_SHAPE");
    expect(code.length).toBeLessThan(500);
  });
});

describe("the errors of a minified bundle", () => {
  it("have the names and codes that they have in the sources", async () => {
    const code = await bundled(`export * from "./src/errors";`);
    const minified = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as typeof errors;
    expect(Object.keys(minified).sort()).toEqual(Object.keys(errors).sort());
    for (const [name, Made] of Object.entries(minified)) {
      const error = new Made("why", { cause: 1 });
      expect([error.name, error.message, error.cause]).toEqual([name, "why", 1]);
      expect(`${error}`).toBe(`${name}: why`);
      expect(error).toBeInstanceOf(minified.PanError);
      const words = name === "PanError" ? ["Error"] : name.replace(/Error$/, "").match(/[A-Z][a-z]+/g)!;
      expect(error.code).toBe(["PAN", ...words].join("_").toUpperCase());
    }
    // The minifier has renamed the classes, or nothing is tested here.
    expect(minified.ShapeError.name).not.toBe("ShapeError");
  });

  it("are all: no class of errors leaves its name to the minifier", () => {
    const files = sources("src", "shaders", "report/src", "examples", "bench", "scripts");
    const classes = files.flatMap((file) => [
      ...readFileSync(file, "utf8").matchAll(/class (\w+) extends \w*Error \{([^}]*)/g),
    ]);
    expect(classes.length).toBeGreaterThan(10);
    for (const [, name, body] of classes) expect(body, name).toMatch(new RegExp(`\\bname(: string)? = "${name}"`));
    const nameless = files.filter((file) => /new\.target\.name/.test(readFileSync(file, "utf8")));
    expect(nameless).toEqual([]);
  });

  it("and nothing else goes by names of classes, but messages about objects of the user's", () => {
    const named = sources("src", "shaders").filter((file) => /constructor\??\.name/.test(readFileSync(file, "utf8")));
    expect(named.map((file) => file.slice(root.length)).sort()).toEqual(["src/io/shown.ts", "src/nn/contents.ts"]);
  });
});
