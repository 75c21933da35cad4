/**
 * What the package promises: `public-names.txt` lists it, and a change of the list is a change for
 * users, which belongs into the changelog. `npx vitest run test/package --update` writes it anew.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { ENTRIES, type PublicName, publicNames, ROOT } from "./entries";
import { mentionedTypes } from "./mentioned";

let names: readonly PublicName[];

beforeAll(() => {
  names = publicNames();
});

/** Words wrapped at 100 columns behind a title. */
function paragraph(title: string, words: readonly string[]): string {
  const lines = [`  ${title}:`];
  for (const word of words) {
    const last = lines[lines.length - 1]!;
    if (last.length + 1 + word.length <= 100) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`    ${word}`);
  }
  return lines.join("\n");
}

function listing(): string {
  const of = (entry: string, kind: PublicName["kind"]) =>
    names.filter((n) => n.entry === entry && n.kind === kind).map((n) => n.name);
  const count = (kind: PublicName["kind"]) => names.filter((n) => n.kind === kind).length;
  const parts = [...ENTRIES.keys()].map((entry) =>
    [entry, paragraph("values", of(entry, "value")), paragraph("types", of(entry, "type"))].join("\n"),
  );
  return `${count("value")} values, ${count("type")} types\n\n${parts.join("\n\n")}\n`;
}

/** Names that a file uses: what it imports, and properties of what it imports as a whole. */
function used(path: string, text: string): Set<string> {
  const found = new Set<string>();
  if (path.endsWith(".md")) {
    const code = [
      ...(text.match(/^```.*?^```/gms) ?? []),
      ...(text.replace(/^```.*?^```/gms, "").match(/`[^`]+`/g) ?? []),
    ];
    return new Set(code.flatMap((part) => part.match(/\w+/g) ?? []));
  }
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
  const spaces: string[] = [];
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings && ts.isNamedImports(bindings))
      for (const { propertyName, name } of bindings.elements) found.add((propertyName ?? name).text);
    else if (bindings) spaces.push(bindings.name.text);
  }
  for (const space of spaces)
    for (const [, name] of text.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g"))) found.add(name!);
  return found;
}

/** Programs, tests and texts that show how the package is used. */
function uses(): Set<string> {
  const patterns = ["test/**/*.ts", "examples/**/*.ts", "bench/**/*.ts", "torture/**/*.ts", "README.md", "docs/*.md"];
  const { stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard", "--", ...patterns], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const files = stdout.split("\n").filter((path) => path !== "");
  expect(files.length).toBeGreaterThan(100);
  return new Set(files.flatMap((path) => [...used(path, readFileSync(resolve(ROOT, path), "utf8"))]));
}

describe("public names", () => {
  it("are those of the list", async () => {
    await expect(listing()).toMatchFileSnapshot("public-names.txt");
  });

  it("come from the entries that package.json exports", () => {
    const { exports } = JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8")) as { exports: object };
    const entries = Object.keys(exports).filter((at) => at !== "./package.json");
    expect(entries.map((at) => at.replace(".", "@pan/core")).sort()).toEqual([...ENTRIES.keys()].sort());
  });

  it("are each in one entry, but for those that verifiers have in an entry of their own", () => {
    const entries = new Map<string, string[]>();
    for (const { entry, name } of names)
      if (entry !== "@pan/core/verify") entries.set(name, [...(entries.get(name) ?? []), entry]);
    expect([...entries].filter(([, of]) => of.length > 1)).toEqual([]);
    // There it is the same thing under the same name, or the two that need no device.
    const repeated = names.filter(({ entry, name }) => entry === "@pan/core/verify" && entries.has(name));
    const other = repeated.filter(({ name, file }) => names.some((n) => n.name === name && n.file !== file));
    expect(other.map(({ name }) => name)).toEqual(["judge", "verify"]);
  });

  it("have docstrings", () => {
    const silent = names.filter((n) => n.documentation.trim() === "").map(({ entry, name }) => `${entry} ${name}`);
    expect(silent).toEqual([]);
  });

  it("mention no type that cannot be imported", () => {
    // Verifiers have all in their own entry; of the others each name is in one.
    const hidden = mentionedTypes().filter(({ entry, exportedBy }) =>
      entry === "@pan/core/verify" ? !exportedBy.includes(entry) : exportedBy.length === 0,
    );
    expect(hidden.map(({ entry, type, by, file }) => `${entry} ${type} (${file}), which ${by} mentions`)).toEqual([]);
  });

  it("are used by some test, example or text", () => {
    const found = uses();
    const unused = names.filter(({ kind, name }) => kind === "value" && !found.has(name));
    expect(unused.map(({ entry, name }) => `${entry} ${name}`)).toEqual([]);
  });
});
