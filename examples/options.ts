/** Command-line options of the examples: texts with defaults, switches, presets. */
import { parseArgs } from "node:util";
import { ArgumentError, PanError } from "@pan/core";

/** What an example takes. */
export interface OptionSpec<Name extends string, Switch extends string> {
  /** Option → its default. */
  texts: Readonly<Record<Name, string>>;
  switches: readonly Switch[];
  /** Values of `--preset NAME`; options given beside it count more. */
  presets?: Readonly<Record<string, Partial<Record<Name, string>>>>;
  help: string;
}

export type OptionValues<Name extends string, Switch extends string> = Record<Name, string> & Record<Switch, boolean>;

/**
 * @throws ArgumentError for an option or a preset that is not there; the message ends with the
 * help.
 */
export function parseOptions<Name extends string, Switch extends string>(
  args: string[],
  { texts, switches, presets = {}, help }: OptionSpec<Name, Switch>,
): OptionValues<Name, Switch> {
  const options = Object.fromEntries([
    ...Object.keys(texts).map((name) => [name, { type: "string" }] as const),
    ...switches.map((name) => [name, { type: "boolean", ...(name === "help" && { short: "h" }) }] as const),
  ]);
  let given: Record<string, unknown>;
  try {
    ({ values: given } = parseArgs({ args, options }));
  } catch (cause) {
    throw new ArgumentError(`${(cause as Error).message}\n\n${help}`, { cause });
  }
  const preset = given["preset"] as string | undefined;
  if (preset !== undefined && !Object.hasOwn(presets, preset))
    throw new ArgumentError(`--preset: ${Object.keys(presets).join(" or ")} expected, found "${preset}"`);
  const off = Object.fromEntries(switches.map((name) => [name, false]));
  return { ...texts, ...off, ...(preset !== undefined && presets[preset]), ...given } as OptionValues<Name, Switch>;
}

/** @throws ArgumentError unless the value is one of those allowed. */
export function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw new ArgumentError(`--${name}: one of ${allowed.join(", ")} expected, found "${value}"`);
}

/** @throws ArgumentError unless the text is a number in the range, a whole one by default. */
export function numberIn(name: string, text: string, low: number, high: number, whole = true): number {
  const n = Number(text);
  if (text.trim() !== "" && n >= low && n <= high && (!whole || Number.isInteger(n))) return n;
  throw new ArgumentError(
    `--${name}: a ${whole ? "whole " : ""}number from ${low} to ${high} expected, found "${text}"`,
  );
}

/** Names with commas between. */
export const listOf = (text: string): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);

/** The command line that was given, as it can be typed again. */
const commandLine = (task: string, args: readonly string[]): string =>
  [`npm run ${task} --`, ...args.map((a) => (/^[\w./=,-]+$/.test(a) ? a : JSON.stringify(a)))].join(" ");

/**
 * Runs an example on the command line's arguments: its help, or its work. What was not right is
 * said in a line, and is the exit code.
 */
export async function runTask<Settings>(
  task: string,
  { help, read }: { help: string; read: (args: string[]) => Settings | "help" },
  work: (settings: Settings, command: string) => Promise<void>,
): Promise<void> {
  try {
    const args = process.argv.slice(2);
    const settings = read(args);
    if (settings === "help") console.log(help);
    else await work(settings as Settings, commandLine(task, args));
  } catch (error) {
    if (!(error instanceof PanError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
