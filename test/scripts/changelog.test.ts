/** What `npm version` makes of the changelog. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { released } from "../../scripts/changelog.mjs";

describe("released", () => {
  it("gives what was unreleased to the version, and leaves the rest", () => {
    const text = "# Changelog\n\n## Unreleased\n\n### A\n\nb\n\n## 0.1.0 (2026-01-02)\n\nc\n";
    const after = released(text, "0.2.0", "2026-03-04");
    expect(after).toBe(
      "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-03-04)\n\n### A\n\nb\n\n## 0.1.0 (2026-01-02)\n\nc\n",
    );
    expect(() => released(after, "0.3.0", "2026-03-05")).toThrow(/nothing is said/);
    expect(() => released(text, "0.1.0", "2026-03-05")).toThrow(/has a section already/);
    expect(() => released("# Changelog\n", "0.1.0", "2026-03-05")).toThrow(/expected a heading/);
  });

  it("takes the changelog as it is", () => {
    const text = readFileSync(resolve(import.meta.dirname, "../../CHANGELOG.md"), "utf8");
    expect(released(text, "99.0.0", "2099-01-01")).toContain("## Unreleased\n\n## 99.0.0 (2099-01-01)\n");
  });
});
