// Imports run downwards only: each floor may use itself and the floors below it. See docs/architecture.md.
const floors = [
  ["^shaders/"],
  ["^src/gpu/"],
  ["^src/tensor/"],
  ["^src/nn/", "^src/optim/", "^src/data/"],
  ["^src/passport/"],
  ["^src/models/"],
  ["^src/train/"],
  ["^src/ownership/"],
  ["^src/watermarks/"],
  ["^src/attacks/"],
  ["^src/report/"],
  ["^src/cli/", "^examples/", "^bench/", "^torture/"],
];
const upward = floors.slice(0, -1).map((paths, i) => ({
  name: `floor-${i}-looks-up`,
  severity: "error",
  from: { path: paths },
  to: { path: floors.slice(i + 1).flat() },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "main-entry-stays-browser-clean",
      severity: "error",
      comment: "Nothing under the main entry may need Node.",
      from: { path: "^(src|shaders)/", pathNot: "^src/(node|cli|report)/" },
      to: { path: ["^src/(node|cli)/", "^(node:|webgpu$)"] },
    },
    {
      name: "io-is-pure",
      severity: "error",
      from: { path: "^src/io/" },
      to: { path: "^src/", pathNot: "^src/(io|errors)" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
  },
};
