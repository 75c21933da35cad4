/**
 * The site: the Markdown files of the repository as they lie, README.md in front, and the pages of
 * docs/api/ that TypeDoc makes.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type MarkdownRenderer } from "vitepress";
import { target } from "../../../scripts/docs/links.mjs";
import { REPOSITORY, sourceAddress } from "../../../scripts/docs/repository.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const base = process.env["DOCS_BASE"] ?? "/";

/** Address in the site of a Markdown file of the repository, null where it is no page. */
function pageOf(path: string): string | null {
  if (path === "README.md") return "/";
  const name = /^(?:docs\/)?((?:guide\/|api\/)?[\w-]+)\.md$/.exec(path)?.[1];
  return name && existsSync(root + path) ? `/${name.replace(/(^|\/)index$/, "$1")}` : null;
}

/** Links lead from file to file; here they lead from page to page, or to the repository. */
function followLinks(md: MarkdownRenderer): void {
  md.core.ruler.push("links-of-the-repository", ({ tokens, env }) => {
    const from = (env.realPath ?? env.path).slice(root.length);
    for (const { children } of tokens) {
      for (const [i, token] of (children ?? []).entries()) {
        if (token.type !== "link_open") continue;
        const to = target(from, token.attrGet("href") ?? "");
        if (to === null || (to.path === from && to.heading)) continue;
        const page = pageOf(to.path);
        const address = page === null ? sourceAddress(to.path) : page + (to.heading && `#${to.heading}`);
        if (page === null && !existsSync(root + to.path))
          throw new Error(`${from} links to ${to.path}, which is not there`);
        if (address) token.attrSet("href", address);
        else unlink(children!, i);
      }
    }
  });
}

/** Leaves the text of a link alone. */
function unlink(
  tokens: NonNullable<
    Parameters<Parameters<MarkdownRenderer["core"]["ruler"]["push"]>[1]>[0]["tokens"][number]["children"]
  >,
  at: number,
): void {
  const end = tokens.findIndex(({ type }, i) => i > at && type === "link_close");
  for (const i of [at, end]) Object.assign(tokens[i]!, { type: "text", tag: "", nesting: 0, content: "", attrs: null });
}

/** What a page is headed. */
const titleOf = (path: string) => /^# (.*)$/m.exec(readFileSync(root + path, "utf8"))?.[1] ?? path;

const item = (text: string, link: string) => ({ text, link });
/** Those of these pages that are there already. */
const pages = (...paths: string[]) =>
  paths.filter((path) => existsSync(root + path)).map((path) => item(titleOf(path), pageOf(path)!));

const entries = existsSync(`${root}docs/api`)
  ? readdirSync(`${root}docs/api`)
      .filter((file) => file.endsWith(".md") && file !== "entries.md")
      .map((file) => file.replace(".md", ""))
      .sort((a, b) => Number(b === "index") - Number(a === "index") || (a < b ? -1 : 1))
  : [];

export default defineConfig({
  title: "@pan/core",
  description: "Train neural networks on raw WebGPU in TypeScript, and prove later that a network is yours.",
  lang: "en-GB",
  base,
  srcDir: "../..",
  srcExclude: [
    "node_modules/**",
    "out/**",
    "dist/**",
    "bench/**",
    "test/**",
    "docs/site/**",
    ".github/**",
    "**/.*/**",
    "report/**",
    "web/**",
    "examples/**",
    "src/**",
  ],
  outDir: "../../out/docs",
  cacheDir: "../../node_modules/.cache/vitepress",
  rewrites: {
    "README.md": "index.md",
    "docs/:page.md": ":page.md",
    "docs/guide/:page.md": "guide/:page.md",
    "docs/api/:page.md": "api/:page.md",
  },
  cleanUrls: false,
  lastUpdated: false,
  // Pages that are being written are no links here (see above); all else that leads nowhere ends
  // the build.
  ignoreDeadLinks: false,
  markdown: { config: followLinks, theme: { light: "github-light", dark: "github-dark" } },
  vite: {
    // Pages lie outside the folder that has Vue; what renders them lies in it.
    ssr: { external: ["vue", "vue/server-renderer"] },
    // A page of the API holds a whole entry.
    build: { chunkSizeWarningLimit: 1500 },
    publicDir: false,
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: "local" },
    nav: [item("Guide", "/guide/start"), item("Claims", "/claims"), item("API", "/api/")],
    ...(REPOSITORY && { socialLinks: [{ icon: "github" as const, link: REPOSITORY }] }),
    sidebar: [
      {
        text: "Guide",
        items: [
          item("At a glance", "/"),
          item("Getting started", "/guide/start"),
          item("Networks", "/guide/networks"),
          item("Data", "/guide/data"),
          item("Training", "/training"),
          item("Examples", "/guide/examples"),
          item("Cookbook", "/guide/cookbook"),
          item("Platforms", "/guide/platforms"),
          item("Limits", "/guide/limits"),
          ...pages("docs/cli.md", "docs/files.md", "docs/onnx.md"),
        ],
      },
      {
        text: "Ownership",
        items: [item("Claims", "/claims"), item("Attacks", "/attacks"), item("Security", "/SECURITY")],
      },
      {
        text: "Evidence",
        items: [item("Results", "/results"), item("Performance", "/performance"), item("Reliability", "/reliability")],
      },
      {
        text: "API",
        collapsed: false,
        items: entries.map((name) =>
          item(name === "index" ? "@pan/core" : `@pan/core/${name}`, name === "index" ? "/api/" : `/api/${name}`),
        ),
      },
      {
        text: "Project",
        items: [
          item("Architecture", "/architecture"),
          item("Contributing", "/CONTRIBUTING"),
          item("Changes", "/CHANGELOG"),
        ],
      },
    ],
  },
});
