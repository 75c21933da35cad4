import { type OptionValues, parseOptions } from "../examples/options";

/** `--help` was given: what ends a bench before it measures anything. The message is the help. */
export class HelpWanted extends Error {
  override readonly name = "HelpWanted";
}

/**
 * Options of a bench and their defaults, from the command line.
 * @param switches options without a value
 * @throws HelpWanted for `--help`, ArgumentError for an option that is not there.
 */
export function benchOptions<Name extends string, Switch extends string = never>(
  texts: Readonly<Record<Name, string>>,
  help: string,
  switches: readonly Switch[] = [],
): OptionValues<Name, Switch> {
  const v = parseOptions<Name, Switch | "help">(process.argv.slice(2), {
    texts,
    switches: [...switches, "help"],
    help,
  });
  if (v.help) throw new HelpWanted(help);
  return v;
}
