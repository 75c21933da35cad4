/** The entries of the package as TypeScript sees them. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";

export const ROOT = resolve(import.meta.dirname, "../..");

const json: unknown = ts.readConfigFile(resolve(ROOT, "tsconfig.json"), ts.sys.readFile).config;

/** The compiler's options, as the project has them. */
export const OPTIONS = ts.parseJsonConfigFileContent(json, ts.sys, ROOT).options;

/** Files of the entries by the name that they are imported by. */
export const ENTRIES: ReadonlyMap<string, string> = new Map(
  readdirSync(resolve(ROOT, "src/entry"))
    .map((file) => file.replace(/\.ts$/, ""))
    .sort()
    .map((name) => [name === "index" ? "@pan/core" : `@pan/core/${name}`, resolve(ROOT, `src/entry/${name}.ts`)]),
);

/** A public name. */
export interface PublicName {
  readonly entry: string;
  readonly name: string;
  readonly kind: "value" | "type";
  /** Where it is declared. */
  readonly file: string;
  /** What its docstring says; empty without one. */
  readonly documentation: string;
}

/** Whether an entry gives a class as a type alone. */
const isTypeAlone = (of: ts.Symbol): boolean => !!of.declarations?.some((at) => ts.isTypeOnlyExportDeclaration(at));

/** All names of all entries, in their order. */
export function publicNames(): readonly PublicName[] {
  // Names and docstrings need no types of the platform, which take most of the time.
  const program = ts.createProgram([...ENTRIES.values()], { ...OPTIONS, noLib: true, types: [] });
  const checker = program.getTypeChecker();
  return [...ENTRIES].flatMap(([entry, file]) =>
    checker
      .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!)
      .map((of): PublicName => {
        const symbol = of.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(of) : of;
        return {
          entry,
          name: of.name,
          kind: symbol.flags & ts.SymbolFlags.Value && !isTypeAlone(of) ? "value" : "type",
          file: symbol.declarations?.[0]?.getSourceFile().fileName ?? "",
          documentation: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
        };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
}

/** The entry of each public name, as the list beside the tests has it. */
export function listedEntries(): ReadonlyMap<string, string> {
  const entryOf = new Map<string, string>();
  let entry = "";
  for (const line of readFileSync(resolve(import.meta.dirname, "public-names.txt"), "utf8").split("\n")) {
    if (line.startsWith("@")) entry = line;
    // What verifiers have a second time is by its name the other.
    else if (entry)
      for (const name of line.match(/\w+(?!\w*:)/g) ?? []) if (!entryOf.has(name)) entryOf.set(name, entry);
  }
  return entryOf;
}
