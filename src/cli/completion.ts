/**
 * Scripts by which shells complete `pan`: its commands, the options of each, and files. They are
 * made of the table of commands, and ask nothing of `pan` while somebody types.
 */
import { COMMON, type Command, type Option } from "./command";
import { quoted } from "./shell";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const HELP = "Tells of a command";

const optionsOf = ({ options }: Command): [string, Option][] => Object.entries({ ...options, ...COMMON });

const names = (commands: readonly Command[]): string => commands.map(({ name }) => name).join(" ");

/** Words that a command's operand may be, where it is no file. */
const wordsOf = ({ operands }: Command): string => operands.flatMap(({ words = [] }) => words).join(" ");

/** What is not completed here, readline completes: names of files, those with spaces too. */
function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const options = optionsOf(command).map(([name]) => `--${name}`);
    return `    ${command.name}) options=${quoted(options.join(" "))} operands=${quoted(wordsOf(command))} ;;`;
  });
  return `# In ~/.bashrc: source <(pan completion bash)
_pan() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options='' operands=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(`${names(commands)} help --help --version`)} -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    help) operands=${quoted(names(commands))} ;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$operands" -- "$word")) ;;
  esac
}
complete -o bashdefault -o default -F _pan pan`;
}

/** A description between the brackets of `_arguments`. */
const bracketed = (text: string): string => text.replace(/[[\]\\]/g, "\\$&");

function zsh(commands: readonly Command[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = commands.map((command) => {
    const options = optionsOf(command).map(([name, { about, value, many }]) =>
      quoted(`${many ? "*" : ""}--${name}[${bracketed(about)}]${value === undefined ? "" : `:${value}:_files`}`),
    );
    const words = wordsOf(command);
    const operands = quoted(words ? `1:word:(${words})` : "*:file:_files");
    return `    ${command.name}) _arguments ${[...options, operands].join(" \\\n      ")} ;;`;
  });
  return `#compdef pan
# In ~/.zshrc, behind compinit: source <(pan completion zsh)
_pan() {
  local -a commands
  commands=(
${described.join("\n")}
    ${quoted(`help:${HELP}`)}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    compadd -- --help --version
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join("\n")}
    help) _describe command commands ;;
  esac
}
if [ "$funcstack[1]" = _pan ]; then _pan "$@"; else compdef _pan pan; fi`;
}

/** A text between single quotes, as fish reads it. */
const fished = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;

function fish(commands: readonly Command[]): string {
  const all = `${names(commands)} help`;
  const first = `complete -c pan -f -n 'not __fish_seen_subcommand_from ${all}'`;
  const behind = (name: string) => `complete -c pan -n '__fish_seen_subcommand_from ${name}'`;
  const lines = commands.flatMap((command) => {
    const { name, summary } = command;
    const words = wordsOf(command);
    return [
      `${first} -a ${name} -d ${fished(summary)}`,
      ...(words ? [`${behind(name)} -f -a ${fished(words)}`] : []),
      ...optionsOf(command).map(
        ([option, { about, value }]) =>
          `${behind(name)} -l ${option}${value === undefined ? "" : " -r -F"} -d ${fished(about)}`,
      ),
    ];
  });
  return [
    "# pan completion fish > ~/.config/fish/completions/pan.fish",
    ...lines,
    `${first} -a help -d ${fished(HELP)}`,
    `${first} -l help`,
    `${first} -l version`,
    `${behind("help")} -f -a ${fished(names(commands))}`,
  ].join("\n");
}

const SCRIPTS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = { bash, zsh, fish };

/** The script of a shell for these commands. */
export const completionScript = (shell: Shell, commands: readonly Command[]): string => SCRIPTS[shell](commands);
