/**
 * The look of all reports: one palette in CSS variables, light and dark, and the style sheet of the
 * page shell. Figures name colours only through {@link palette}, so an SVG drawn once is right in
 * both colour schemes.
 */

/**
 * Colours of the figures, by meaning. The two schemes' values are in {@link css}; each is told
 * apart without colour vision by lightness.
 */
export const palette = {
  ink: "var(--ink)",
  muted: "var(--muted)",
  rule: "var(--rule)",
  surface: "var(--surface)",
  shade: "var(--shade)",
  /** Whatever the real passport gives: the private branch. */
  owner: "var(--owner)",
  /** The network as it is handed out, no passport: the public branch. */
  open: "var(--open)",
  /** Whatever a forged passport gives. */
  forged: "var(--forged)",
} as const;

/** Colours that mean nothing by themselves, to tell lines apart. */
export const hues = [
  "var(--violet)",
  "var(--amber)",
  "var(--teal)",
  "var(--rose)",
  "var(--slate)",
  "var(--olive)",
] as const;

const colours = `
:root { color-scheme: light dark;
  --page: #f6f5f2; --surface: #ffffff; --ink: #1b1d23; --muted: #62656e; --rule: #e2e0da; --shade: #efede8;
  --owner: #3f46c9; --open: #0b857c; --forged: #cf5314; --good: #1a7f4b; --good-bg: #e6f4ec; --warn: #8a5a00; --warn-bg: #fbf0d9; --bad: #b42318; --bad-bg: #fdeceb;
  --violet: #5b3fb5; --amber: #b86e00; --teal: #0c7c86; --rose: #c0316b; --slate: #4d5a70; --olive: #66791a; }
@media (prefers-color-scheme: dark) { :root {
  --page: #111317; --surface: #191c22; --ink: #e9e8e4; --muted: #a0a4ae; --rule: #31353e; --shade: #242831;
  --owner: #a3a9ff; --open: #4fc9bb; --forged: #ff9a63; --good: #6fd6a0; --good-bg: #15301f; --warn: #f0b34d; --warn-bg: #352713; --bad: #ff9d94; --bad-bg: #3a1917;
  --violet: #b9a5ff; --amber: #f0b34d; --teal: #58cbd6; --rose: #ff8fb6; --slate: #b3bfd4; --olive: #c3d66a; } }
`;

const layout = `
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main, .top, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
.top { padding-top: 44px; }
footer { padding-top: 28px; padding-bottom: 56px; color: var(--muted); font-size: 14px; }
h1 { font-size: clamp(27px, 4.4vw, 42px); line-height: 1.12; letter-spacing: -0.022em; margin: 14px 0 16px; text-wrap: balance; max-width: 24ch; }
h2 { font-size: 23px; line-height: 1.25; letter-spacing: -0.012em; margin: 56px 0 6px; }
h3 { font-size: 16px; line-height: 1.35; margin: 0; }
h3 + p { margin-top: 6px; }
p { margin: 0 0 12px; max-width: 72ch; text-wrap: pretty; }
code, kbd { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.quoted { overflow-wrap: anywhere; }
.kicker { color: var(--muted); font-size: 14px; margin: 0; }
.lead { font-size: 18px; line-height: 1.6; }
.caution { padding: 8px 14px; border-left: 4px solid var(--warn); border-radius: 6px; background: var(--warn-bg); color: var(--warn); }
.section-lead, .note { color: var(--muted); }
.note { font-size: 14px; }
.columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 40px; margin-top: 8px; }
.panel > :last-child > :last-child, .panel > p:last-child { margin-bottom: 0; }
td .about, th .about { display: block; margin-top: 2px; color: var(--muted); font-weight: 400; }
.badge { display: inline-block; margin-top: 18px; padding: 3px 12px; border-radius: 99px; font-size: 14px; font-weight: 600; color: var(--good); background: var(--good-bg); }
.badge.warn { color: var(--warn); background: var(--warn-bg); }
.badge.bad { color: var(--bad); background: var(--bad-bg); }
.quoted { background: var(--shade); border-radius: 5px; padding: 0 4px; }
.summary { display: grid; grid-template-columns: minmax(0, 1.75fr) minmax(0, 1fr); gap: 14px 48px; align-items: start; }
.reasons { margin: 0; padding: 16px 20px; background: var(--surface); border: 1px solid var(--rule); border-left: 4px solid var(--good); border-radius: 10px; font-size: 15px; }
.reasons.warn { border-left-color: var(--warn); }
.reasons.bad { border-left-color: var(--bad); }
.reasons ul { margin: 6px 0 0; padding-left: 18px; }
.reasons li { margin: 3px 0; overflow-wrap: anywhere; }
`;

const pieces = `
.tiles { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 12px; margin: 28px 0 0; }
.tile { background: var(--surface); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 14px 11px; border-top: 3px solid var(--tone, var(--rule)); }
.tile dt { color: var(--muted); font-size: 13px; line-height: 1.35; }
.tile dd { margin: 0; }
.tile .value { font-size: 21px; line-height: 1.45; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile .about { color: var(--muted); font-size: 13px; line-height: 1.4; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 20px; margin-top: 18px; }
.wide { grid-column: 1 / -1; }
.figure, .panel { margin: 0; min-width: 0; background: var(--surface); border: 1px solid var(--rule); border-radius: 12px; padding: 18px 20px 16px; }
.canvas { container-type: inline-size; margin: 10px 0 8px; }
.canvas svg { width: 100%; height: auto; display: none; overflow: visible; font-variant-numeric: tabular-nums; --plot-background: var(--surface); }
.canvas svg.m { display: block; }
@container (max-width: 459px) { .canvas svg.m, .canvas svg.l { display: none; } .canvas svg.s { display: block; } }
@container (min-width: 760px) { .canvas.has-l svg.m { display: none; } .canvas svg.l { display: block; } }
figcaption { color: var(--muted); font-size: 14px; line-height: 1.5; max-width: 84ch; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 5px 0 0; padding: 0; list-style: none; font-size: 13.5px; color: var(--muted); }
.legend svg { display: inline-block; vertical-align: -1px; margin-right: 6px; overflow: visible; }
.clouds { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px 18px; margin: 12px 0 10px; padding: 0; list-style: none; }
.clouds li { min-width: 0; text-align: center; font-size: 14px; line-height: 1.4; color: var(--muted); overflow-wrap: anywhere; break-inside: avoid; }
.clouds svg { display: block; width: 100%; height: auto; }
.clouds p { margin: 4px 0 0; }
.clouds span { display: inline-block; }
.clouds strong { color: var(--ink); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 16px; padding-bottom: 8px; }
th, td { text-align: left; padding: 7px 12px 7px 0; border-top: 1px solid var(--rule); vertical-align: top; overflow-wrap: break-word; }
td.long, td .quoted { min-width: 9em; overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--muted); font-weight: 500; font-size: 13px; }
th[scope=row] { font-weight: 500; }
th.n, td.n { text-align: right; white-space: nowrap; overflow-wrap: normal; padding-right: clamp(12px, 2.4vw, 28px); }
th:last-child, td:last-child { padding-right: 0; }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--muted); font-size: 14px; padding: 4px 0; }
pre { margin: 8px 0 12px; padding: 12px 16px; background: var(--shade); border-radius: 8px; overflow-x: auto; }
.open-points { margin: 8px 0 0; padding-left: 18px; }
.open-points li { margin: 4px 0; }
.timeline { list-style: none; margin: 12px 0 12px 5px; padding: 0; border-left: 2px solid var(--rule); }
.timeline li { position: relative; display: grid; grid-template-columns: 15em minmax(0, 1fr); gap: 0 18px; padding: 7px 0 7px 20px; }
.timeline li::before { content: ""; position: absolute; left: -7px; top: 13px; width: 12px; height: 12px; border-radius: 50%; background: var(--owner); border: 2px solid var(--surface); }
.timeline li.undated::before { background: var(--surface); border-color: var(--muted); }
.timeline strong { grid-row: span 2; font-variant-numeric: tabular-nums; }
.timeline .about { color: var(--muted); font-size: 14px; }
.questions { margin: 0; padding-left: 24px; }
.questions li { padding: 4px 12px; margin: 4px 0; border-left: 4px solid transparent; border-radius: 6px; }
.questions p { margin: 2px 0; max-width: 84ch; }
.questions p:first-child { color: var(--muted); }
.questions .decided { border-left-color: var(--good); background: var(--good-bg); }
.questions .unasked { color: var(--muted); }
.glossary { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 18px 40px; margin: 16px 0 0; }
.glossary dt { font-weight: 600; }
.glossary dd { margin: 2px 0 0; color: var(--muted); font-size: 15px; }
:focus-visible { outline: 2px solid var(--owner); outline-offset: 2px; border-radius: 4px; }
`;

/** The summary that fits one printed page, and tables of many columns. */
const brief = `
.blocks { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px 20px; margin-top: 18px; align-items: start; }
.block { background: var(--surface); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 18px 12px; font-size: 15px; min-width: 0; }
.block h2 { font-size: 16px; letter-spacing: 0; margin: 0 0 6px; }
.block h3 { font-size: 14px; color: var(--muted); font-weight: 600; margin: 10px 0 2px; }
.block p { margin: 0 0 8px; max-width: 84ch; }
.block ul { margin: 0; padding-left: 18px; }
.block li { margin: 4px 0; overflow-wrap: anywhere; }
.block table { font-size: 14px; margin-bottom: 8px; }
.block caption, .data caption { position: absolute; width: 1px; height: 1px; padding: 0; overflow: hidden; clip-path: inset(50%); }
.held, .lost, .open { font-weight: 650; }
.held { color: var(--good); } .lost { color: var(--bad); } .open { color: var(--muted); }
.data th[scope=row] { min-width: 8em; }
.data td:not(.n) { min-width: 5em; }
.data thead th { white-space: normal; vertical-align: bottom; }
.data { margin-bottom: 14px; }
.data h3 { margin-bottom: 6px; }
.scroll + .note { margin-top: 10px; }
.panel > .data:last-child { margin-bottom: 0; }
.panel > details:first-child { margin-top: 0; }
ul.note { margin: 8px 0 0; padding-left: 18px; }
.block .columns { gap: 0 28px; margin-top: 0; }
td .wrong { color: var(--bad); font-weight: 650; }
@media print {
  @page { margin: 10mm; }
  .onepage { break-after: page; }
  .onepage .kicker { font-size: 8pt; }
  .onepage .badge { margin-top: 2px; padding: 1px 9px; font-size: 8.5pt; }
  .onepage h1 { font-size: 16pt; margin: 3px 0; max-width: none; }
  .onepage .lead { font-size: 9pt; line-height: 1.35; margin: 0; max-width: none; }
  .onepage .blocks, .onepage .columns { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 5px 8px; margin-top: 5px; }
  .onepage .columns { gap: 0 16px; margin: 0; }
  .onepage .block { padding: 5px 9px 3px; font-size: 7.5pt; line-height: 1.27; }
  .onepage .block h2 { font-size: 9.5pt; margin: 0 0 2px; }
  .onepage .block h3 { font-size: 8pt; margin: 2px 0 0; }
  .onepage .block p, .onepage .block li { font-size: 7.5pt; margin: 0 0 1px; max-width: none; }
  .onepage .block ul { padding-left: 13px; }
  .onepage .block table, .onepage thead th { font-size: 7.4pt; margin: 0; }
  .onepage .data { margin: 0 0 2px; }
  .onepage th, .onepage td { padding-top: 1px; padding-bottom: 1px; }
  main, .top, footer { max-width: none; padding: 0; }
}
`;

const narrow = `
@media (max-width: 1040px) { .tiles { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
@media (max-width: 820px) { .grid, .summary, .glossary, .columns, .blocks { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 520px) {
  .timeline li { grid-template-columns: minmax(0, 1fr); }
  .timeline strong { grid-row: auto; }
  main, .top, footer { padding-left: 16px; padding-right: 16px; }
  .top { padding-top: 28px; }
  .lead { font-size: 17px; }
  h2 { margin-top: 44px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tile { padding: 11px 12px 10px; }
  .tile .value { font-size: 20px; }
  .figure, .panel { padding: 15px 14px 13px; }
}
/* Paper does not scroll: wide tables are set smaller, and commands are broken. */
@media print {
  body { background: #fff; }
  h2 { break-after: avoid; }
  .figure, .tile, tr, .timeline li { break-inside: avoid; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .panel .data table { font-size: 7.4pt; }
  .panel .data thead th { font-size: 6.8pt; }
  .panel .data th, .panel .data td { padding-right: 6px; }
}
`;

/** The style sheet every page carries inline. */
export const css = colours + layout + pieces + brief + narrow;
