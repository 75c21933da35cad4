/** Which types the declarations of public names mention. */
import { resolve } from "node:path";
import ts from "typescript";
import { ENTRIES, OPTIONS, ROOT } from "./entries";

/** A type of `src` that a public name mentions. */
export interface MentionedType {
  /** The entry of the public name. */
  readonly entry: string;
  readonly type: string;
  /** The name whose declaration mentions it, and the member there: `DataLoader.options`. */
  readonly by: string;
  /** Where the type is declared, from the root. */
  readonly file: string;
  /** The entries that export it. */
  readonly exportedBy: readonly string[];
}

const SOURCES = resolve(ROOT, "src");

/** What no user sees: private members, and those whose docstring says `@internal`. */
function isHidden(node: ts.Node): boolean {
  const name = (node as ts.NamedDeclaration).name;
  if (name && ts.isPrivateIdentifier(name)) return true;
  if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword))
    return true;
  // The compiler overlooks a tag that does not begin its line.
  return ts.getJSDocCommentsAndTags(node).some((of) => /@internal\b/.test(of.getText()));
}

/**
 * Every mention of a type of `src` in a public signature: parameters, results, properties, type
 * parameters, base classes; of what is exported, and of what that mentions in turn.
 */
export function mentionedTypes(): readonly MentionedType[] {
  // Results that are not written down are inferred, for which arrays and promises are needed.
  const program = ts.createProgram([...ENTRIES.values()], { ...OPTIONS, lib: ["lib.es2023.d.ts"], types: [] });
  const checker = program.getTypeChecker();
  const resolved = (symbol: ts.Symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

  const exporters = new Map<ts.Symbol, string[]>();
  const exports = [...ENTRIES].flatMap(([entry, file]) =>
    checker
      .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!)
      .map((of) => ({ entry, symbol: resolved(of) })),
  );
  for (const { entry, symbol } of exports) exporters.set(symbol, [...(exporters.get(symbol) ?? []), entry]);

  const found = new Map<string, MentionedType>();

  function walk(entry: string, from: ts.Symbol): void {
    const seen = new Set<ts.Symbol>([from]);
    const todo = [from];
    for (let symbol = todo.pop(); symbol; symbol = todo.pop()) {
      const of = symbol;

      const note = (mentioned: ts.Symbol, member: string) => {
        const target = resolved(mentioned);
        // Values whose type is asked for (`typeof VERDICTS`) are no types with a name.
        const isType = ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Enum;
        if (!(target.flags & isType)) return;
        const file = target.declarations?.[0]?.getSourceFile().fileName;
        if (!file?.startsWith(SOURCES)) return;
        const exportedBy = exporters.get(target) ?? [];
        const key = `${entry} ${target.name} ${file}`;
        const by = member ? `${of.name}.${member}` : of.name;
        if (target !== from && !found.has(key))
          found.set(key, { entry, type: target.name, by, file: file.slice(ROOT.length + 1), exportedBy });
        // What is exported is walked for its own sake.
        if (seen.has(target) || exportedBy.length) return;
        seen.add(target);
        todo.push(target);
      };

      /** A type that nobody wrote down: an initialiser's, a body's. */
      const inferred = (type: ts.Type, member: string, known = new Set<ts.Type>()): void => {
        if (known.has(type)) return;
        known.add(type);
        const named = type.aliasSymbol ?? type.symbol;
        for (const t of type.aliasTypeArguments ?? []) inferred(t, member, known);
        if (
          named &&
          !(named.flags & ts.SymbolFlags.ObjectLiteral) &&
          named.name !== "__type" &&
          named.name !== "__object"
        ) {
          const file = named.declarations?.[0]?.getSourceFile().fileName;
          if (file?.startsWith(SOURCES) && !(named.flags & ts.SymbolFlags.Function)) return note(named, member);
        }
        if (type.isUnionOrIntersection()) for (const t of type.types) inferred(t, member, known);
        if ((type as ts.ObjectType).objectFlags & ts.ObjectFlags.Reference)
          for (const t of checker.getTypeArguments(type as ts.TypeReference)) inferred(t, member, known);
        const file = named?.declarations?.[0]?.getSourceFile().fileName;
        if (!file?.startsWith(SOURCES)) return;
        for (const signature of type.getCallSignatures()) {
          inferred(signature.getReturnType(), member, known);
          for (const p of signature.getParameters()) inferred(checker.getTypeOfSymbol(p), member, known);
        }
        for (const p of type.getProperties()) inferred(checker.getTypeOfSymbol(p), member, known);
      };

      const visit = (node: ts.Node, member: string): void => {
        if (isHidden(node)) return;
        if (ts.isTypeReferenceNode(node)) {
          const at = checker.getSymbolAtLocation(node.typeName);
          if (at) note(at, member);
        } else if (ts.isImportTypeNode(node) && node.qualifier) {
          const at = checker.getSymbolAtLocation(node.qualifier);
          if (at) note(at, member);
        } else if (ts.isExpressionWithTypeArguments(node)) {
          const at = checker.getSymbolAtLocation(node.expression);
          if (at) note(at, member);
          for (const t of node.typeArguments ?? []) visit(t, member);
          return;
        }
        if (ts.isFunctionLike(node)) {
          // Of overloads those count that callers see.
          if ((node as ts.FunctionLikeDeclaration).body) {
            const name = (node as ts.FunctionLikeDeclaration).name;
            const at = name && checker.getSymbolAtLocation(name);
            const all = at?.declarations?.filter((d) => ts.isFunctionLike(d) && !ts.isAccessor(d)) ?? [];
            if (all.length > 1 && all.some((d) => !(d as ts.FunctionLikeDeclaration).body)) return;
          }
          for (const t of node.typeParameters ?? []) visit(t, member);
          for (const p of node.parameters) {
            if (p.type) visit(p.type, member);
            else inferred(checker.getTypeAtLocation(p), member);
            if (ts.isConstructorDeclaration(node) && ts.getModifiers(p)?.length && !isHidden(p) && p.type)
              visit(p.type, member);
          }
          if (node.type) visit(node.type, member);
          else if (!ts.isConstructorDeclaration(node) && !ts.isSetAccessor(node)) {
            const signature = checker.getSignatureFromDeclaration(node as ts.SignatureDeclaration);
            if (signature) inferred(signature.getReturnType(), member);
          }
          return;
        }
        if (ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node)) {
          if (node.type) visit(node.type, member);
          else inferred(checker.getTypeAtLocation(node), member);
          return;
        }
        if (ts.isDecorator(node) || ts.isBlock(node)) return;
        ts.forEachChild(node, (child) => {
          const name = (child as ts.NamedDeclaration).name;
          const isMember = ts.isClassElement(child) || ts.isTypeElement(child);
          visit(child, isMember && !member ? (name?.getText() ?? "constructor") : member);
        });
      };

      for (const declaration of of.declarations ?? []) visit(declaration, "");
    }
  }

  for (const { entry, symbol } of exports) walk(entry, symbol);
  return [...found.values()];
}
