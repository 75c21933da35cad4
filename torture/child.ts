/** The process of one part: child.ts NAME TASK FILE. FILE always holds the number of the case at hand. */
import { openSync, writeSync } from "node:fs";
import { Cases, LONGEST_MESSAGE, type Outcome, type Task } from "./part";
import { PARTS, type PartName } from "./parts";

const [name, given, file] = process.argv.slice(2) as [PartName, string, string];
const task = JSON.parse(given) as Task;
const marks = openSync(file, "w");
/** Numbers are written over each other, all of one width. */
const WIDTH = 12;
const cases = new Cases(task, (number) => writeSync(marks, String(number).padStart(WIDTH), 0));

async function outcome(): Promise<Outcome> {
  const { default: part } = await PARTS[name]();
  try {
    const { figure, facts } = await part.run(task, cases);
    return { figure, facts, cases: cases.count, broken: cases.broken };
  } catch (error) {
    const what = `it broke off: ${String(error).slice(0, LONGEST_MESSAGE)}`;
    return { figure: what, facts: {}, cases: cases.count, broken: [...cases.broken, { case: cases.count, what }] };
  }
}

// A device holds its process open: the work is over once the answer is under way.
process.send!(await outcome(), () => process.exit());
