/** `scripts/prose.mjs` wraps comments and Markdown, and nothing else. */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";

const tool = join(resolve(import.meta.dirname, "..", ".."), "scripts", "prose.mjs");
const { wrapFile } = (await import(pathToFileURL(tool).href)) as {
  wrapFile(text: string, name: string): { text: string; long: number[] };
};

/** The text wrapped; wrapping it again changes nothing. */
function wrapped(name: string, ...lines: string[]): string[] {
  const { text } = wrapFile(lines.join("\n"), name);
  expect(wrapFile(text, name)).toEqual({ text, long: [] });
  return text.split("\n");
}
const code = (...lines: string[]) => wrapped("file.ts", ...lines);
const markdown = (...lines: string[]) => wrapped("file.md", ...lines);

const words = (count: number, word = "word") => Array.from({ length: count }, () => word).join(" ");

describe("comments", () => {
  it("are named by the lines that are too long", () => {
    const text = ["const a = 1;", `// ${words(30)}`, "", "/**", " * Short.", ` * ${words(25)}`, " */"].join("\n");
    expect(wrapFile(text, "file.ts").long).toEqual([2, 6]);
  });

  it("stay as they are within the width, however they are broken", () => {
    const lines = [
      "/** One line. @returns it */",
      "/**",
      " * Two",
      " * lines.",
      " */",
      "// a",
      "// b",
      "const a = 1; // c",
    ];
    expect(code(...lines)).toEqual(lines);
  });

  it("of one line become blocks, each tag on a line of its own", () => {
    expect(code(`  /** ${words(12)}. @param a what @throws ShapeError ${words(15)} */`, "  f(a) {}")).toEqual([
      "  /**",
      `   * ${words(12)}.`,
      "   * @param a what",
      `   * @throws ShapeError ${words(15)}`.trimEnd(),
      "   */",
      "  f(a) {}",
    ]);
  });

  it("keep paragraphs, formulas, lists and examples apart", () => {
    expect(
      code(
        "/**",
        ` * ${words(24)}`,
        ` * ${words(2, "more")}.`,
        " *",
        ` *     y = ${words(30, "x")} + ${words(30, "x")}`,
        " *",
        ` * - ${words(22, "item")}`,
        " * - short",
        ` * @throws ${words(20, "Error")}`,
        " * @example",
        ` * ${words(30, "code")}`,
        " */",
      ),
    ).toEqual([
      "/**",
      ` * ${words(19)}`,
      ` * ${words(5)} more more.`,
      " *",
      ` *     y = ${words(30, "x")} + ${words(30, "x")}`,
      " *",
      ` * - ${words(19, "item")}`,
      ` *   ${words(3, "item")}`,
      " * - short",
      ` * @throws ${words(15, "Error")}`,
      ` * ${words(5, "Error")}`,
      " * @example",
      ` * ${words(30, "code")}`,
      " */",
    ]);
  });

  it("keep a line that somebody ended with a sentence, and one that begins with a label", () => {
    const long = words(20);
    expect(code("/**", " * y = x.", ` * ${long}.`, ` * Source: ${long}.`, " */")).toEqual([
      "/**",
      " * y = x.",
      ` * ${words(19)}`,
      " * word.",
      ` * Source: ${words(18)}`,
      " * word word.",
      " */",
    ]);
  });

  it("behind code go above it, or into the block that the line opens", () => {
    const long = words(18);
    expect(code("  const a = 1; // " + long, "  if (a) {", "  } else { // " + long, "  }")).toEqual([
      `  // ${long}`,
      "  const a = 1;",
      "  if (a) {",
      "  } else {",
      `    // ${long}`,
      "  }",
    ]);
  });

  it("are not what strings, templates, regular expressions and words to tools hold", () => {
    const lines = [
      `const a = "// ${words(30)}";`,
      `const b = \`// ${words(30)}`,
      `/* ${words(30)} */ \${a}\`;`,
      `const c = /\\/\\/ ${words(30)}/;`,
      `// biome-ignore lint: ${words(30)}`,
      `/*! ${words(30)} */`,
      `// ${"x".repeat(120)}`,
      `const d = [${words(30, "a,")}]; // ${words(30)}`,
    ];
    expect(code(...lines)).toEqual(lines);
  });

  it("are never broken within code and shapes, nor before what would read as markup", () => {
    const lead = words(18); // 89 columns
    expect(code(`// ${lead} \`new Tensor(1)\` [N, H, W, C]`)).toEqual([
      `// ${lead}`,
      "// `new Tensor(1)` [N, H, W, C]",
    ]);
    expect(code(`// ${lead} abcdef - minus`)).toEqual([`// ${lead}`, "// abcdef - minus"]);
    expect(code(`// ${lead} abcde @pan/core ${lead}`)[1]).toMatch(/^\/\/ abcde @pan\/core word/);
  });
});

describe("Markdown", () => {
  it("wraps paragraphs and list items with hanging indents", () => {
    expect(markdown(words(24), "next", "", `1. ${words(22)}`, `   - ${words(20)}`, "", `   ${words(20)}`)).toEqual([
      words(20),
      `${words(4)} next`,
      "",
      `1. ${words(19)}`,
      `   ${words(3)}`,
      `   - ${words(19)}`,
      "     word",
      "",
      `   ${words(19)}`,
      "   word",
    ]);
  });

  it("leaves tables, headings, code, HTML and what cannot be broken", () => {
    const lines = [
      `# ${words(30)}`,
      `| ${words(30)} |`,
      "```",
      words(30),
      "```",
      "",
      `    ${words(30)}`,
      "",
      `<p>${words(30)}</p>`,
      "",
      `[name]: https://${"x".repeat(120)} "title"`,
      "",
      `https://${"x".repeat(120)}`,
    ];
    expect(markdown(...lines)).toEqual(lines);
  });

  it("keeps hard breaks", () => {
    expect(markdown(`${words(21)}  `, "next")).toEqual([words(20), "word  ", "next"]);
  });
});
