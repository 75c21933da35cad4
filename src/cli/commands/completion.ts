import { oneOf } from "../../demand";
import type { Command } from "../command";
import { completionScript, SHELLS } from "../completion";

/** @param commands all that are completed, this one among them */
export const completion = (commands: () => readonly Command[]): Command => ({
  name: "completion",
  summary: "Prints a script by which a shell completes commands, options and files",
  operands: [{ name: "SHELL", about: "bash, zsh or fish", words: SHELLS }],
  options: {},
  notes: [
    "bash, in ~/.bashrc: source <(pan completion bash). zsh, in ~/.zshrc behind compinit: source <(pan completion zsh). fish: pan completion fish > ~/.config/fish/completions/pan.fish",
  ],
  async run(given) {
    const shell = oneOf("completion", "SHELL", given.operand("SHELL"), SHELLS);
    const script = completionScript(shell, commands());
    return { code: 0, exact: true, json: { shell, script }, text: () => script };
  },
});
