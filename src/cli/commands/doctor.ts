import { createRequire } from "node:module";
import { PanError } from "../../errors";
import type { Command } from "../command";
import { version } from "../version";
import { pairs } from "../words";

export const doctor: Command = {
  name: "doctor",
  summary: "Looks for what training needs: adapters, optional packages, versions",
  operands: [],
  options: {},
  notes: [
    "Exit code 0: an adapter was found; 1: none, and what helps is printed. Claims are committed to and verified without one.",
  ],
  async run(_given, terminal) {
    terminal.step("looking for an adapter");
    const adapter = await adapterHere();
    const packages = { webgpu: installed("webgpu"), sharp: installed("sharp") };
    const json = {
      version,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      packages,
      adapter: "name" in adapter ? adapter : null,
      problem: "problem" in adapter ? adapter.problem : null,
    };
    return {
      code: "name" in adapter ? 0 : 1,
      json,
      text: (style) =>
        [
          "name" in adapter
            ? style.good(style.bold("ready to train"))
            : style.warn(style.bold("no adapter to train on; claims need none")),
          pairs([
            ["@pan/core", version],
            ["Node", `${process.version}, ${json.platform}`],
            ["webgpu", packages.webgpu ?? "not installed: npm install webgpu"],
            ["sharp", packages.sharp ?? "not installed: npm install sharp, for folders of pictures"],
            ...("name" in adapter
              ? ([
                  ["adapter", `${adapter.name} (${adapter.kind})`],
                  ["features", adapter.features.join(", ") || "none"],
                ] as const)
              : []),
          ]),
          ...("problem" in adapter ? [adapter.problem] : []),
        ].join("\n\n"),
    };
  },
};

/** The version of an optional package; null where it is not there. */
function installed(name: string): string | null {
  const require = createRequire(`${process.cwd()}/`);
  for (const from of [require, createRequire(import.meta.url)])
    try {
      return (from(`${name}/package.json`) as { version: string }).version;
    } catch {
      // Not from there.
    }
  return null;
}

type Adapter = { kind: string; name: string; features: string[] } | { problem: string };

async function adapterHere(): Promise<Adapter> {
  try {
    const { dawn, describeAdapter } = await import("../../node/dawn");
    const adapter = await (await dawn()).requestAdapter();
    if (!adapter) return { problem: "The adapter that was found is gone again." };
    const wanted = ["shader-f16", "subgroups", "timestamp-query"];
    return { ...describeAdapter(adapter), features: wanted.filter((name) => adapter.features.has(name)) };
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    return { problem: cause.message };
  }
}
