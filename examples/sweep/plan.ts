/**
 * A plan of many runs, as a JSON file says it: a program with fixed options, a grid of options to
 * lists of values, what is left out of it, and attacks on every network that comes of it.
 */
import { FormatError } from "@pan/core";
import { readJson } from "./json-file";
import { isProgram, PROGRAM_NAMES, PROGRAMS, type ProgramName } from "./programs";

/** A value of an option; `true` gives a switch, `false` leaves it out. */
export type Value = string | number | boolean;
export type Options = Readonly<Record<string, Value>>;

/** A file or the folder that another training leaves, as the value of an option. */
export interface FileOf {
  /** What that training has otherwise in its grid; the rest is as here, or as what is attacked. */
  of: Options;
  /** Under its folder; empty for the folder itself. */
  file: string;
}

/** A program, and which options it is run with. */
export interface Stage {
  program: ProgramName;
  options: Options;
  /** Options whose values are files of other tasks. */
  files: Readonly<Record<string, FileOf>>;
  /** Every combination is a task; the last name varies fastest. */
  grid: Readonly<Record<string, readonly Value[]>>;
  /** Combinations to leave out: those that have all of the values of one entry. */
  exclude: readonly Options[];
}

export interface Plan extends Stage {
  /** Attacks on each network of the first stage; its options are called `on.NAME` here. */
  attacks: Stage | null;
}

/** Options that a sweep gives itself, and why a plan may not. */
const OWN: Readonly<Record<string, string>> = {
  out: "every task has a folder of its own under --out of the sweep",
  report: "the report is in the task's folder",
  resume: "a task that has a checkpoint goes on from there",
  again: "a task that is done is not done again",
  download: "many tasks would fetch the same files: fetch them first, and name their folder in PAN_DATA",
  help: "it runs nothing",
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isValue = (value: unknown): value is Value =>
  typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 80);

/** Checks of one file; what they refuse names the file and the entry. */
function checksOf(path: string) {
  const refuse = (where: string, expected: string, found: string): never => {
    throw new FormatError(`${path}: ${where}: ${expected} expected, found ${found}`);
  };

  const object = (where: string, value: unknown = {}): Record<string, unknown> =>
    isObject(value) ? value : refuse(where, "an object", shown(value));

  const list = (where: string, value: unknown): readonly unknown[] =>
    Array.isArray(value) ? value : refuse(where, "a list", shown(value));

  function options(where: string, value: unknown, or = ""): Options {
    const given = object(where, value);
    for (const [name, v] of Object.entries(given))
      if (!isValue(v)) refuse(`${where}.${name}`, `a text, a number, true or false${or}`, shown(v));
    return given as Options;
  }

  function fileOf(where: string, value: Record<string, unknown>): FileOf {
    const stray = Object.keys(value).find((name) => name !== "of" && name !== "file");
    if (stray !== undefined) refuse(`${where}.${stray}`, "one of of, file", "another entry");
    const { file = "" } = value;
    // A path that leaves the folder would be a file of no task.
    if (typeof file !== "string" || !/^([\w-]+(\.[\w-]+)*)?$/.test(file))
      return refuse(`${where}.file`, "the name of a file in that task's folder", shown(file));
    const of = options(`${where}.of`, value["of"]);
    if (Object.keys(of).length === 0) refuse(`${where}.of`, "what the other task has otherwise", shown(value["of"]));
    return { of, file };
  }

  /** Values, and files of other tasks between them. */
  function optionsAndFiles(where: string, value: unknown): Pick<Stage, "options" | "files"> {
    const entries = Object.entries(object(where, value));
    const files = entries.flatMap(([name, v]) => (isObject(v) ? [[name, fileOf(`${where}.${name}`, v)] as const] : []));
    const values = Object.fromEntries(entries.filter(([, v]) => !isObject(v)));
    return { options: options(where, values, ", or a file of another task"), files: Object.fromEntries(files) };
  }

  function grid(where: string, value: unknown): Stage["grid"] {
    const given = object(where, value);
    for (const [name, values] of Object.entries(given)) {
      const at = `${where}.${name}`;
      const all = list(at, values);
      if (all.length === 0) refuse(at, "at least one value", "none");
      const other = all.find((v) => !isValue(v));
      if (other !== undefined) refuse(at, "texts, numbers, true or false", shown(other));
      if (new Set(all.map(String)).size < all.length) refuse(at, "every value once", shown(all));
    }
    return given as Stage["grid"];
  }

  return { refuse, object, list, options, optionsAndFiles, grid };
}

/** @throws FormatError for a file that is no plan; the message names the entry. */
export function parsePlan(value: unknown, path: string): Plan {
  const { refuse, object, list, options, optionsAndFiles, grid } = checksOf(path);

  /** @param on the trainings' grid, by the names that it has in attacks */
  function stage(where: "" | "attacks", given: Record<string, unknown>, on: Stage["grid"]): Stage {
    const at = (name: string) => (where ? `${where}.${name}` : name);
    const allowed = ["options", "grid", "exclude", ...(where ? [] : ["program", "attacks"])];
    const stray = Object.keys(given).find((name) => !allowed.includes(name));
    if (stray !== undefined) refuse(at(stray), `one of ${allowed.join(", ")}`, "another entry");
    const program = where || given["program"];
    if (!isProgram(program)) return refuse(at("program"), `one of ${PROGRAM_NAMES.join(", ")}`, shown(program));
    const found = {
      program,
      ...optionsAndFiles(at("options"), given["options"]),
      grid: grid(at("grid"), given["grid"]),
      exclude: list(at("exclude"), given["exclude"] ?? []).map((e, i) => options(at(`exclude[${i}]`), e)),
    };
    const fixed = { ...found.options, ...found.files };
    for (const [part, names] of Object.entries({ options: fixed, grid: found.grid })) {
      for (const name of Object.keys(names)) {
        if (Object.hasOwn(OWN, name)) refuse(at(`${part}.${name}`), `nothing, since ${OWN[name]},`, "a value");
        if (where && name === "checkpoint")
          refuse(at(`${part}.${name}`), "nothing, since the networks are those of the first runs,", "a value");
      }
    }
    const twice = Object.keys(found.grid).find((name) => Object.hasOwn(fixed, name));
    if (twice !== undefined) refuse(at(`grid.${twice}`), "an option that is not fixed in options", "one that is");
    for (const [name, { of }] of Object.entries(found.files)) {
      const trained = where ? Object.keys(on).map((n) => n.slice("on.".length)) : Object.keys(found.grid);
      const unknown = Object.keys(of).find((n) => !trained.includes(n));
      if (unknown !== undefined)
        refuse(
          at(`options.${name}.of.${unknown}`),
          `an option of the trainings' grid (${trained.join(", ")})`,
          "another",
        );
    }
    // A name that nothing varies by, or a value that it never has, would leave nothing out, in
    // silence.
    const known = { ...found.grid, ...on };
    for (const [i, entry] of found.exclude.entries()) {
      if (Object.keys(entry).length === 0) refuse(at(`exclude[${i}]`), "at least one option", "none");
      for (const [name, value] of Object.entries(entry)) {
        const place = at(`exclude[${i}].${name}`);
        if (!Object.hasOwn(known, name))
          refuse(place, `an option of a grid (${Object.keys(known).join(", ")})`, "another");
        const values = known[name]!.map(String);
        if (!values.includes(String(value)))
          refuse(place, `one of the grid's values (${values.join(", ")})`, shown(value));
      }
    }
    return found;
  }

  const given = object("the plan", value ?? null);
  const first = stage("", given, {});
  if (given["attacks"] === undefined) return { ...first, attacks: null };
  if (first.program === "attacks") refuse("attacks", "a program that trains before them", "attacks");
  if (!PROGRAMS[first.program].attacked) {
    const names = PROGRAM_NAMES.filter((name) => PROGRAMS[name].attacked);
    refuse(
      "attacks",
      `a program whose data they can read (${names.join(", ")})`,
      `${first.program}: leave attacks out`,
    );
  }
  const on = Object.fromEntries(Object.entries(first.grid).map(([name, values]) => [`on.${name}`, values]));
  return { ...first, attacks: stage("attacks", object("attacks", given["attacks"]), on) };
}

/** @throws FormatError when there is no plan at the path. */
export async function readPlan(path: string): Promise<Plan> {
  const value = await readJson<unknown>(path);
  if (value === null) throw new FormatError(`${path}: the JSON file of a plan expected, and nothing is there`);
  return parsePlan(value, path);
}
