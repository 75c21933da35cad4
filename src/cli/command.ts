/** What a command of `pan` is, and how a line of words becomes what it is given. */
import { parseArgs } from "node:util";
import { ArgumentError } from "../errors";
import { nearest } from "./nearest";
import type { Style, Terminal } from "./terminal";

/** A word behind the command, by its place. */
export interface Operand {
  /** As usage has it: `SUSPECT`. */
  readonly name: string;
  readonly about: string;
  /** Takes all words that are left, one or more. */
  readonly many?: true;
  /** All that it may be, where it is no file. */
  readonly words?: readonly string[];
}

/** An option: a flag, or with a value. */
export interface Option {
  /** What its value is, as usage has it: `FILE`. */
  readonly value?: string;
  /** It may be given several times. */
  readonly many?: true;
  readonly about: string;
}

/** How a command ended. */
export interface Outcome {
  /** 0: it holds, or is done; 1: it does not hold. */
  readonly code: 0 | 1;
  /** What `--json` prints. */
  readonly json: unknown;
  /** What is printed else. */
  text(style: Style): string;
  /** It is read by programs, and goes to a file or a pipe as it is. */
  readonly exact?: true;
}

/** A command. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly operands: readonly Operand[];
  readonly options: Readonly<Record<string, Option>>;
  /** Paragraphs behind the options, one line each. */
  readonly notes: readonly string[];
  run(given: Given, terminal: Terminal): Promise<Outcome>;
}

/** Options of every command. */
export const COMMON: Readonly<Record<string, Option>> = {
  json: { about: "print JSON instead of words" },
  help: { about: "print this help" },
};

/** Words of a command's line, by name. */
export class Given {
  constructor(
    private readonly operands: ReadonlyMap<string, readonly string[]>,
    private readonly values: Readonly<Record<string, unknown>>,
  ) {}

  operand = (name: string): string => this.operands.get(name)![0]!;

  rest = (name: string): readonly string[] => this.operands.get(name)!;

  flag = (name: string): boolean => this.values[name] === true;

  text = (name: string): string | undefined => this.values[name] as string | undefined;

  /** An option that has to be there. @throws ArgumentError where it is not. */
  needed(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new ArgumentError(`expected --${name}, got none: give it, see --help`);
    return value;
  }

  texts = (name: string): readonly string[] => (this.values[name] as string[] | undefined) ?? [];

  /** @throws ArgumentError for a value that is no number. */
  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (value.trim() === "" || !Number.isFinite(Number(value)))
      throw new ArgumentError(`--${name}: expected a number, got "${value}"`);
    return Number(value);
  }
}

/** How a command is called, on one line. */
export const usage = ({ name, operands }: Command): string =>
  ["pan", name, ...operands.map((o) => (o.many ? `${o.name}…` : o.name)), "[options]"].join(" ");

/**
 * What the words behind a command's name say.
 * @throws ArgumentError for an option that it has not, or too few or too many words.
 */
export function parse(command: Command, words: readonly string[]): Given {
  const known = { ...COMMON, ...command.options };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { value, many }]) => [
      name,
      {
        type: value === undefined ? ("boolean" as const) : ("string" as const),
        multiple: many === true,
        ...(name === "help" && { short: "h" }),
      },
    ]),
  );
  const { values, positionals } = parsed(command, words, options);
  if (values["help"] === true) return new Given(new Map(), values);
  const operands = new Map<string, readonly string[]>();
  let left = positionals;
  for (const { name, many } of command.operands) {
    if (!left.length) throw new ArgumentError(`expected ${name}, got nothing: ${usage(command)}`);
    operands.set(name, many ? left : left.slice(0, 1));
    left = many ? [] : left.slice(1);
  }
  if (left.length) throw new ArgumentError(`expected no more words, got "${left[0]}": ${usage(command)}`);
  return new Given(operands, values);
}

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>["options"]>;

function parsed(command: Command, words: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    if (!code?.startsWith("ERR_PARSE_ARGS")) throw cause;
    const [, name = ""] = /'(-[^' =]*)/.exec(message) ?? [];
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      const close = nearest(name.replace(/^-+/, ""), Object.keys(options));
      const advice = close ? `did you mean --${close}?` : `pan help ${command.name} lists its options`;
      throw new ArgumentError(`expected an option of pan ${command.name}, got ${name}: ${advice}`);
    }
    const takes = options[name.replace(/^-+/, "")]?.type === "string";
    throw new ArgumentError(
      takes ? `${name}: expected a value, got none: write ${name} VALUE` : `${name}: expected no value, got one`,
    );
  }
}
