/**
 * Code blocks of README and docs, type-checked as programs. A fragment imports nothing; the public
 * names that it uses are given to it, and what it takes for granted is named in a comment in front
 * of it: `<!-- given: model, optimizer -->`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { listedEntries, OPTIONS, ROOT } from "./entries";

/** A code block, and the line that it starts at. */
interface Block {
  readonly place: string;
  readonly code: string;
  /** Names that a fragment takes for granted. */
  readonly given: readonly string[];
}

const FILES = [
  "README.md",
  ...["docs", "docs/guide"].flatMap((folder) =>
    readdirSync(resolve(ROOT, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
];
const BLOCK = /(?:<!-- given: ([^>]*) -->\s*)?^```ts\n(.*?)^```$/gms;

function blocksOf(path: string): Block[] {
  const text = readFileSync(resolve(ROOT, path), "utf8");
  return [...text.matchAll(BLOCK)].map(({ 0: all, 1: given, 2: code, index }) => ({
    place: `${path}:${text.slice(0, index + all.indexOf("```ts")).split("\n").length}`,
    code: code!,
    given: given ? given.split(",").map((name) => name.trim()) : [],
  }));
}

/** A block as a module, on as many lines: what is put in front is on the first. */
function moduleOf({ code, given }: Block, entryOf: ReadonlyMap<string, string>): string {
  const words = new Set(code.match(/\b[A-Za-z]\w*\b/g));
  if (code.startsWith("import ")) return code;
  const own = new Set([
    ...given,
    ...[...code.matchAll(/\b(?:const|let|function|class) (\w+)/g)].map(([, name]) => name),
  ]);
  const destructured = [...code.matchAll(/\b(?:const|let) \{([^}]*)\}/g)].flatMap(([, names]) => names!.match(/\w+/g)!);
  const imports = [...words]
    .filter((name) => entryOf.has(name) && !own.has(name) && !destructured.includes(name))
    .map((name) => `import { ${name} } from "${entryOf.get(name)}";`);
  return [...imports, ...given.map((name) => `declare const ${name}: any;`), code].join(" ");
}

/** What the compiler says of modules of these texts. */
function check(texts: ReadonlyMap<string, string>): string[] {
  const options: ts.CompilerOptions = {
    ...OPTIONS,
    noUnusedLocals: false,
    noUnusedParameters: false,
    verbatimModuleSyntax: false,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => texts.has(name) || fileExists(name);
  host.readFile = (name) => texts.get(name) ?? readFile(name);
  host.getSourceFile = (name, version) =>
    texts.has(name) ? ts.createSourceFile(name, texts.get(name)!, version) : getSourceFile(name, version);
  const program = ts.createProgram([...texts.keys()], options, host);
  return [...texts.keys()].flatMap((name) => {
    const file = program.getSourceFile(name)!;
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ start, messageText }) => {
        const line = file.getLineAndCharacterOfPosition(start!).line + 1;
        return `${relative(ROOT, name)}, line ${line} of the block: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
      },
    );
  });
}

describe("code in texts", () => {
  it("passes the type check", () => {
    const entryOf = listedEntries();
    const blocks = FILES.flatMap(blocksOf);
    expect(blocks.length).toBeGreaterThan(8);
    const texts = blocks.map(
      (block, i) => [resolve(ROOT, `${block.place.replace(/[/:]/g, "-")}-${i}.ts`), moduleOf(block, entryOf)] as const,
    );
    expect(check(new Map(texts))).toEqual([]);
  });
});
