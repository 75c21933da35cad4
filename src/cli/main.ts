#!/usr/bin/env node
/** `pan`, the command line. */
import { AdapterNotFoundError, ArgumentError, PanError } from "../errors";
import { type Command, parse } from "./command";
import { COMMANDS } from "./commands";
import { commandHelp, help } from "./help";
import { nearest } from "./nearest";
import { printable } from "./printable";
import { hasColours, styleOf, Terminal } from "./terminal";
import { version } from "./version";

/** What went wrong, on one line or few, without what it went through. */
const shown = (cause: unknown): string => {
  if (cause instanceof PanError) return cause.message;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (typeof code === "string") return `${message}`;
  return `something that should not happen: ${cause instanceof Error ? cause.message : String(cause)}; PAN_DEBUG=1 tells where`;
};

/** @throws ArgumentError for a name that no command has. */
function commandOf(name: string): Command {
  const found = COMMANDS.find((command) => command.name === name);
  if (found) return found;
  const close = nearest(
    name,
    COMMANDS.map((command) => command.name),
  );
  throw new ArgumentError(
    `expected a command, got "${name}": ${close ? `did you mean \`pan ${close}\`?` : "`pan --help` lists them"}`,
  );
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/**
 * Runs a line of words.
 * @returns the exit code: 0 holds or done, 1 does not hold, 2 unusable input
 */
async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const style = styleOf(process.stdout);
  const [name, ...rest] = words;
  if (name === undefined) {
    process.stderr.write(`${help(COMMANDS, styleOf(process.stderr))}\n`);
    return 2;
  }
  if (name === "--version" || name === "-v") {
    print(version);
    return 0;
  }
  if (name === "help" || name === "--help" || name === "-h") {
    const [about] = rest;
    print(about === undefined ? help(COMMANDS, style) : commandHelp(commandOf(about), style));
    return 0;
  }
  const command = commandOf(name);
  const given = parse(command, rest);
  if (given.flag("help")) {
    print(commandHelp(command, style));
    return 0;
  }
  const { code, json, text, exact } = await command.run(given, terminal);
  terminal.clear();
  if (given.flag("json")) print(printable(JSON.stringify(json, null, 2)));
  else if (exact && process.stdout.isTTY !== true) print(text(style));
  else print(printable(text(style), hasColours(process.stdout)));
  return code;
}

async function main(terminal: Terminal): Promise<void> {
  const words = process.argv.slice(2);
  try {
    process.exitCode = await run(words, terminal);
  } catch (cause) {
    // What helps to find an adapter is a list.
    const [first, ...more] = cause instanceof AdapterNotFoundError ? cause.message.split("\n") : [shown(cause)];
    terminal.error(first!, more);
    if (process.env["PAN_DEBUG"] && cause instanceof Error) process.stderr.write(`${printable(`${cause.stack}`)}\n`);
    if (words.includes("--json")) {
      const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
      print(printable(JSON.stringify({ error: { name, message } }, null, 2)));
    }
    process.exitCode = 2;
  }
}

const terminal = new Terminal();
/** Whether something could not be written: what the command found is not told then. */
let unwritten = false;
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Readers may stop early, as in `pan inspect FILE | head`.
    if (error.code === "EPIPE" || unwritten) return;
    unwritten = true;
    if (stream === process.stdout) terminal.error(`what was found could not be printed: ${error.message}`);
  });
// Code 1 is a verdict.
process.once("exit", () => {
  if (unwritten) process.exitCode = 2;
});
void main(terminal);
