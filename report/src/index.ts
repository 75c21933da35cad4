/**
 * `@pan/report`: pages and figures drawn from result records. A page is one HTML file that loads
 * nothing, a record is JSON: whoever has the record can draw its page again. Runs in Node.
 */

export { type AttackReport, renderAttacks } from "./attacks";
export { checkAttackRuns } from "./attacks/checks";
export type { AttackedNetwork, AttackRuns, Claim, Convergence, Distributions, ForgedClaim } from "./attacks/record";
export { CLOUD_POINTS, type CloudSample, spread } from "./cloud-record";
export { type PlainTable, tablesCsv } from "./data-table";
export type { RunFile } from "./files";
export { formatPercent, formatPValue } from "./format";
export { renderJudgment } from "./judgment";
export { type JudgedFile, type JudgmentRecord, judgedFile, type Party } from "./judgment-record";
export { renderQuickstart } from "./quickstart";
export { checkQuickstartReport, type QuickstartReport } from "./quickstart-record";
export { PRIVATE_NOTICE } from "./run-parts";
export { drawScale, isMeasured, type MeasuredStep, type ScaleRecord, type ScaleRow, type StepSize } from "./scale";
export { least, most } from "./series";
export { drawStrangers, type StrangersRecord } from "./strangers";
export { renderTraining } from "./training";
export { checkTrainingReport, type TrainingReport } from "./training-record";
export { type ClaimVerdict, verdictOf } from "./verdict-record";
