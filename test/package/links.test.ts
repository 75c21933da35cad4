/** Links between the texts of the repository. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { faultOf, headingsOf, linksOf, target } from "../../scripts/docs/links.mjs";
import { ROOT } from "./entries";

const texts = (): string[] => {
  const git = spawnSync("git", ["ls-files", "-co", "--exclude-standard", "--", "*.md"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return git.stdout.split("\n").filter((path) => path !== "" && !path.startsWith("test/fixtures/"));
};

describe("links in texts", () => {
  it("lead to files and headings that are there", () => {
    const links = texts().flatMap((path) =>
      linksOf(readFileSync(resolve(ROOT, path), "utf8")).map((link) => [path, link] as const),
    );
    expect(links.length).toBeGreaterThan(80);
    expect(links.map(([path, link]) => faultOf(ROOT, path, link)).filter((fault) => fault !== null)).toEqual([]);
  });

  it("are found where they are, and not in code", () => {
    const text = 'A [b](c.md#d), `[e](f)`, ![g\nh](i.svg) and\n```\n[j](k)\n```\n[l](https://m "n")';
    expect(linksOf(text)).toEqual(["c.md#d", "i.svg", "https://m"]);
    expect(target("docs/a.md", "../README.md#use-it")).toEqual({ path: "README.md", heading: "use-it" });
    expect(target("docs/a.md", "#b")).toEqual({ path: "docs/a.md", heading: "b" });
    expect(target("docs/a.md", "https://b")).toBeNull();
  });

  it("are refused where nothing is", () => {
    expect(headingsOf("# A b, `c`!\n```\n# d\n```\n## A b c")).toEqual(["a-b-c", "a-b-c-1"]);
    expect(faultOf(ROOT, "README.md", "docs/none.md")).toMatch(/leads to nothing/);
    expect(faultOf(ROOT, "README.md", "docs/claims.md#none")).toMatch(/no such heading/);
    expect(faultOf(ROOT, "README.md", "../x.md")).toMatch(/out of the repository/);
    expect(faultOf(ROOT, "README.md", "docs/claims.md#an-owner")).toBeNull();
  });
});
