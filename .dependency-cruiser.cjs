// Imports run downwards only: each floor may use itself and the floors below it. See
// docs/architecture.md.
const floors = [
  ["^src/gpu/"],
  ["^shaders/"],
  ["^src/tensor/"],
  ["^src/nn/", "^src/optim/", "^src/data/"],
  ["^src/passport/"],
  ["^src/onnx/"],
  ["^src/models/"],
  ["^src/train/"],
  ["^src/ownership/"],
  ["^src/watermarks/"],
  ["^src/attacks/"],
  ["^src/entry/"],
  ["^src/cli/"],
  ["^report/"],
  ["^examples/", "^bench/", "^torture/", "^web/"],
];
// The rooms of one floor, from the one that sees no other up.
const OWNERSHIP = [
  "^src/ownership/[^/]+\\.ts$",
  "^src/ownership/(claim|first)/",
  "^src/ownership/suspect/",
  "^src/ownership/relation/",
  "^src/ownership/running/",
  "^src/ownership/verdict/",
];
const upstairs = OWNERSHIP.slice(0, -1).map((path, i) => ({
  name: `ownership-${i}-looks-up`,
  severity: "error",
  from: { path, pathNot: "^src/ownership/index" },
  to: { path: OWNERSHIP.slice(i + 1) },
}));
const upward = floors.slice(0, -1).map((paths, i) => ({
  name: `floor-${i}-looks-up`,
  severity: "error",
  from: { path: paths },
  to: { path: floors.slice(i + 1).flat() },
}));

module.exports = {
  forbidden: [
    ...upward,
    ...upstairs,
    {
      name: "main-entry-stays-browser-clean",
      severity: "error",
      comment: "Nothing under the main entry may need Node.",
      from: { path: "^(src|shaders)/", pathNot: "^src/(node/|cli/|entry/node)" },
      to: { path: ["^src/node/", "^(node:|webgpu$|sharp$)"] },
    },
    {
      name: "io-is-pure",
      severity: "error",
      from: { path: "^src/io/" },
      to: { path: "^src/", pathNot: "^src/io/|^src/(errors|demand)\\." },
    },
    {
      name: "signing-stands-alone",
      severity: "error",
      comment: "It signs bytes and knows of no network.",
      from: { path: "^src/signing/" },
      to: { path: "^(src|shaders)/", pathNot: "^src/(signing|io)/|^src/(errors|demand)\\." },
    },
    {
      name: "report-is-a-package-of-its-own",
      severity: "error",
      comment: "It sees of the core what any other package does.",
      from: { path: "^report/" },
      to: { path: "^(src|shaders)/", pathNot: "^src/entry/" },
    },
    {
      name: "examples-use-what-is-public",
      severity: "error",
      from: { path: "^examples/" },
      to: { path: "^(src|shaders)/", pathNot: "^src/entry/" },
    },
    {
      name: "web-uses-what-is-public",
      severity: "error",
      comment: "A page for browsers: of the examples, the quickstart's recipe and files alone.",
      from: { path: "^web/", pathNot: "^web/example/" },
      to: {
        path: ["^(src|shaders|report|bench|torture)/", "^examples/"],
        pathNot: ["^src/entry/(?!node)", "^examples/quickstart/recipe", "^examples/(data|pretrained/[^/]+)/"],
      },
    },
    {
      name: "nothing-uses-the-page",
      severity: "error",
      from: { pathNot: "^(web|test)/" },
      to: { path: "^web/" },
    },
    {
      name: "report-has-one-entry",
      severity: "error",
      from: { path: "^(src|shaders|examples|bench|torture)/" },
      to: { path: "^report/", pathNot: "^report/src/index" },
    },
    {
      name: "core-stands-alone",
      severity: "error",
      from: { path: "^(src|shaders)/" },
      to: { path: "^(report|examples|bench|torture|web)/" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
  },
};
