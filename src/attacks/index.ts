export { PassportEquations } from "./solve";
export { type ForgeryOptions, solvePassports } from "./solved-passports";
