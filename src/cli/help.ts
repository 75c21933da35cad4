import { COMMON, type Command, type Option, usage } from "./command";
import type { Style } from "./terminal";

const WIDTH = 80;

/** Words in lines of a terminal's width, the further ones indented. */
function wrapped(text: string, indent: number, width = WIDTH): string {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1]!;
    if (last === "") lines[lines.length - 1] = word;
    else if (indent + last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

function table(rows: readonly (readonly [string, string])[]): string {
  const wide = Math.min(24, Math.max(...rows.map(([name]) => name.length)));
  return rows
    .map(([name, about]) => {
      const head = `  ${name.padEnd(wide)}  `;
      const start = name.length > wide ? `  ${name}\n${" ".repeat(wide + 4)}` : head;
      return start + wrapped(about, wide + 4);
    })
    .join("\n");
}

const optionRow = ([name, { value, many, about }]: [string, Option]): [string, string] => [
  `--${name}${value === undefined ? "" : ` ${value}`}${many ? " …" : ""}`,
  about,
];

/** Everything about one command. */
export function commandHelp(command: Command, style: Style): string {
  const { summary, operands, options, notes } = command;
  return [
    `${style.bold("usage:")} ${wrapped(usage(command), 9)}`,
    wrapped(`${summary}.`, 0),
    ...(operands.length ? [table(operands.map(({ name, about }) => [name, about]))] : []),
    `${style.bold("options:")}\n${table(Object.entries({ ...options, ...COMMON }).map(optionRow))}`,
    ...notes.map((note) => wrapped(note, 0)),
  ].join("\n\n");
}

/** What there is. */
export function help(commands: readonly Command[], style: Style): string {
  return [
    `${style.bold("usage:")} pan COMMAND … [options]`,
    wrapped(
      "Claims of ownership on neural networks: committed to, verified, judged. Nothing but --run needs an adapter to run networks on; `doctor` looks for one.",
      0,
    ),
    `${style.bold("commands:")}\n${table(commands.map(({ name, summary }) => [name, summary]))}`,
    wrapped(
      "`pan help COMMAND` tells more, `pan --version` the version. Every command takes --json. Exit codes: 0 it holds, or is done; 1 it does not hold; 2 the input cannot be used.",
      0,
    ),
  ].join("\n\n");
}
