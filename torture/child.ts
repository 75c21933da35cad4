/**
 * The process of one part: child.ts NAME TASK FILE. FILE always holds the number of the case at
 * hand.
 */
import { openSync, writeSync } from "node:fs";
import { Cases, LONGEST_MESSAGE, type Message, type Task } from "./part";
import { PARTS, type PartName } from "./parts";

const [name, given, file] = process.argv.slice(2) as [PartName, string, string];
const task = JSON.parse(given) as Task;
const marks = openSync(file, "w");
/** Numbers are written over each other, all of one width. */
const WIDTH = 12;

const say = (message: Message, then = () => {}) => void process.send!(message, then);
const mark = (number: number) => void writeSync(marks, String(number).padStart(WIDTH), 0);
const cases = new Cases(task, mark, (broken) => say({ broken }));

async function main(): Promise<{ figure: string; facts: Record<string, unknown> }> {
  const { default: part } = await PARTS[name]();
  try {
    return await part.run(task, cases);
  } catch (error) {
    const figure = `it broke off: ${String(error).slice(0, LONGEST_MESSAGE)}`;
    say({ broken: { case: cases.count, what: figure } });
    return { figure, facts: {} };
  }
}

const found = await main();
// A device holds its process open: the work is over once the answer is under way.
say({ outcome: { ...found, cases: cases.count } }, () => process.exit());
