/** The process of one part: child.ts NAME TASK FILE. FILE always holds the number of the case at hand. */
import { openSync, writeSync } from "node:fs";
import { Cases, type Outcome, type Task } from "./part";
import { PARTS, type PartName } from "./parts";

const [name, given, file] = process.argv.slice(2) as [PartName, string, string];
const task = JSON.parse(given) as Task;
const marks = openSync(file, "w");
/** Numbers are written over each other, all of one width. */
const WIDTH = 12;
const cases = new Cases(task, (number) => writeSync(marks, String(number).padStart(WIDTH), 0));

const { default: part } = await PARTS[name]();
const { figure, facts } = await part.run(task, cases);
const outcome: Outcome = { figure, facts, cases: cases.count, broken: cases.broken };
// A device holds its process open: the work is over once the answer is under way.
process.send!(outcome, () => process.exit());
