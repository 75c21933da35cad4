#!/usr/bin/env node
/** `pan`, the command line. */
import { ArgumentError, PanError } from "../errors";
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

async function main(): Promise<void> {
  const terminal = new Terminal();
  const words = process.argv.slice(2);
  try {
    process.exitCode = await run(words, terminal);
  } catch (cause) {
    terminal.error(shown(cause));
    if (process.env["PAN_DEBUG"] && cause instanceof Error) process.stderr.write(`${cause.stack}\n`);
    if (words.includes("--json")) {
      const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
      print(printable(JSON.stringify({ error: { name, message } }, null, 2)));
    }
    process.exitCode = 2;
  }
}

// Readers that stop early, as `pan inspect FILE | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
void main();
