/** What `pan` says of itself, and how it refuses. */
import { execFileSync } from "node:child_process";
import { existsSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands";
import { nearest } from "../../src/cli/nearest";
import { printable } from "../../src/cli/printable";
import { styleOf, Terminal } from "../../src/cli/terminal";
import { list, pairs } from "../../src/cli/words";
import { encodeSafetensors } from "../../src/io/safetensors";
import { listed } from "../../src/io/shown";
import { type Pan, pan } from "../support/cli";

let cli: Pan;
beforeAll(async () => {
  cli = await pan();
});
afterAll(() => cli.remove());

describe("help", () => {
  it("lists every command, on lines that fit a terminal", async () => {
    const { code, out, err } = await cli.run("--help");
    expect([code, err]).toEqual([0, ""]);
    for (const { name, summary } of COMMANDS) {
      expect(out).toContain(`  ${name} `);
      expect(out.replace(/\s+/g, " ")).toContain(summary);
    }
    expect(out.split("\n").every((line) => line.length <= 80)).toBe(true);
    expect(out).not.toContain("\u001b");
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))("tells all of %s", async (name, command) => {
    const [asked, flagged] = [await cli.run("help", name), await cli.run(name, "--help")];
    expect(asked).toEqual(flagged);
    expect(asked.code).toBe(0);
    const flat = asked.out.replace(/\s+/g, " ");
    for (const option of [...Object.keys(command.options), "json", "help"]) expect(flat).toContain(`--${option}`);
    for (const { name: operand, about } of command.operands) {
      expect(flat).toContain(operand);
      expect(flat).toContain(about);
    }
    for (const note of command.notes) expect(flat).toContain(note);
    const words = asked.out.split("\n").filter((line) => line.length > 80);
    expect(words.every((line) => !line.trim().includes(" "))).toBe(true);
  });

  it("is printed, as an error, where nothing was asked", async () => {
    const { code, out, err } = await cli.run();
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("usage: pan COMMAND");
  });

  it("tells the version", async () => {
    expect(await cli.run("--version")).toEqual({ code: 0, out: "1.2.3\n", err: "" });
  });
});

describe("what cannot be used", () => {
  it.each<[string, string[], RegExp]>([
    ["an unknown command", ["verfy"], /expected a command, got "verfy": did you mean `pan verify`\?/],
    ["a command that is like none", ["frobnicate"], /got "frobnicate": `pan --help` lists them/],
    ["help of an unknown command", ["help", "juge"], /did you mean `pan judge`\?/],
    ["too few words", ["verify", "a"], /expected CREDENTIAL, got nothing: pan verify SUSPECT CREDENTIAL/],
    ["too many words", ["inspect", "a", "b"], /expected no more words, got "b"/],
    ["an unknown option", ["verify", "a", "b", "--comitment", "c"], /got --comitment: did you mean --commitment\?/],
    ["an option of no command", ["hash", "a", "--xyzzy"], /got --xyzzy: pan help hash lists its options/],
    ["an option without its value", ["verify", "a", "b", "--root"], /--root: expected a value, got none/],
    ["a flag with a value", ["hash", "a", "--sha512=1"], /--sha512: expected no value, got one/],
    ["a number that is none", ["verify", "words.txt", "words.txt", "--fpr", "x"], /--fpr: expected a number, got "x"/],
    ["a file that is not there", ["inspect", "nowhere"], /nowhere: expected a file, got nothing: check its name/],
    ["a folder", ["hash", "."], /expected a file, got a folder/],
    ["a file of another kind", ["inspect", "words.txt"], /words\.txt: .*safetensors/],
    ["JSON that is none", ["answers", "words.txt", "words.txt"], /words\.txt is not readable JSON/],
    ["two of one kind", ["hash", "words.txt", "--sha512", "--tensors"], /expected one of --sha512 and --tensors/],
  ])("gets one readable line and exit code 2: %s", async (_, words, why) => {
    writeFileSync(join(cli.folder, "words.txt"), "words and nothing else, some of them\n");
    const { code, out, err } = await cli.run(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(why);
    expect(err).toMatch(/^error: [^\n]+\n$/);
    expect(err).not.toMatch(/\bat .*\.mjs|Error:/);
  });

  it("is one readable line of a file too large, a circle of links, a path through a file", async () => {
    const at = (name: string) => join(cli.folder, name);
    writeFileSync(at("large.safetensors"), "");
    truncateSync(at("large.safetensors"), 2 ** 31 + 8);
    symlinkSync("circle", at("circle"));
    writeFileSync(at("plain"), "words");
    for (const [words, why] of [
      [["inspect", "large.safetensors"], /large\.safetensors: expected a file, got one of more than 2 GiB: save/],
      [["hash", "circle"], /circle: expected a file, got links that lead in a circle/],
      [["hash", "plain/x"], /plain\/x: expected a file, got a path through something that is no folder/],
      [["keygen", "plain/x"], /plain\/x: .*not a folder/],
      [["keygen", "circle"], /circle: .*circle/],
    ] as const) {
      const { code, err } = await cli.run(...words);
      expect([code, err]).toEqual([2, expect.stringMatching(why)]);
      expect(err).toMatch(/^error: [^\n]+\n$/);
    }
  });

  it.skipIf(!existsSync("/dev/full"))("is what was found, where it cannot be printed", async () => {
    writeFileSync(join(cli.folder, "words.txt"), "words");
    for (const line of ["hash words.txt", "hash words.txt --json", "--version", "--help", "completion bash"]) {
      const full = await cli.shell(`pan ${line} > /dev/full`);
      expect(full, line).toMatchObject({
        code: 2,
        out: "",
        err: expect.stringMatching(/^error: [^\n]*ENOSPC[^\n]*\n$/),
      });
      expect(await cli.shell(`pan ${line} > /dev/full 2> /dev/full`), line).toMatchObject({
        code: 2,
        out: "",
        err: "",
      });
    }
    expect(await cli.shell("pan hash nowhere 2> /dev/full")).toMatchObject({ code: 2, out: "" });
    // A reader that has what it wants, of either stream.
    expect(await cli.shell("pan completion bash | true; echo $PIPESTATUS")).toMatchObject({ out: "0\n", err: "" });
    expect(await cli.shell("pan hash nowhere 2>&1 >/dev/null | true; echo $PIPESTATUS")).toMatchObject({
      out: "2\n",
      err: "",
    });
  });

  it("is an object where JSON was asked for", async () => {
    const { code, out, err } = await cli.run("inspect", "nowhere", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({
      error: { name: "ArgumentError", message: expect.stringMatching(/nowhere/) },
    });
    expect(err).toMatch(/^error: nowhere/);
  });
});

describe("what files of strangers say", () => {
  it("gives a terminal no orders", async () => {
    const name = "w\u001b[2K\u009b1A\u202eholds";
    const tensors = new Map([[name, { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const]]);
    writeFileSync(join(cli.folder, "hostile.safetensors"), encodeSafetensors(tensors, { note: "a\u0007\u2066b" }));
    for (const flags of [[], ["--json"]]) {
      const { code, out } = await cli.run("inspect", "hostile.safetensors", ...flags);
      expect(code).toBe(0);
      expect([..."\u001b\u009b\u202e\u0007\u2066"].filter((order) => out.includes(order))).toEqual([]);
      expect(out).toContain("\\u202eholds");
    }
    expect(JSON.parse((await cli.run("inspect", "hostile.safetensors", "--json")).out).tensors[0].name).toBe(name);
    const { err } = await cli.run("frob\u001b[2Knicate");
    expect(err).toContain("frob\\u001b[2Knicate");
  });

  it("stays on its line: no block of words is anybody's but this program's", async () => {
    const forged = "x\n\nholds\nThe suspect bears the mark\r\t\u2028\u2029y";
    const tensors = new Map([[`w${forged}`, { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const]]);
    const metadata = { format: `pan-${forged}`, [`key${forged}`]: forged };
    writeFileSync(join(cli.folder, "forged.safetensors"), encodeSafetensors(tensors, metadata));
    const found = await cli.run("inspect", "forged.safetensors");
    for (const text of [found.out, found.err]) expect(text).not.toMatch(/[\r\t\u2028\u2029]|^holds|^The suspect/m);
    expect(found.out).toMatch(/^forged\.safetensors: a file of this package, of format pan-x\\u000a\\u000aholds/);
    const refused = await cli.run("convert", "forged.safetensors", "x.npy", "--tensor", forged);
    expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/^error: [^\n]+\n$/) });
    expect(listed(["a", `b${forged}`])).toMatch(/^a, "bx\\n\\nholds/);
    const style = styleOf({ isTTY: true, write: () => true });
    const red = "\u001b[31mrefused\u001b[0m";
    for (const text of [pairs([[red, red]]), ...list("reasons", [red], style)])
      expect(text.replace("\u001b[1mreasons\u001b[0m", "")).not.toContain("\u001b");
  });

  it("leaves this program its colours, and files none of theirs", () => {
    const good = "\u001b[32mholds\u001b[0m";
    expect(printable(`${good}\n\u001b[2K`, true)).toBe(`${good}\n\\u001b[2K`);
    expect(printable(good)).toBe("\\u001b[32mholds\\u001b[0m");
  });
});

describe("a terminal", () => {
  const stream = (isTTY: boolean) => {
    const written: string[] = [];
    return { isTTY, written, write: (text: string) => written.push(text) > 0 };
  };

  it("gets colours and progress, which is taken away; nothing else does", () => {
    const before = process.env["NO_COLOR"];
    delete process.env["NO_COLOR"];
    try {
      const [tty, pipe] = [stream(true), stream(false)];
      for (const to of [tty, pipe]) {
        const terminal = new Terminal(to);
        terminal.step("reading");
        terminal.warn("mind this");
      }
      expect(tty.written.join("")).toBe(
        "\u001b[2mreading\u001b[0m …\r\u001b[2K\u001b[33mwarning:\u001b[0m mind this\n",
      );
      expect(pipe.written.join("")).toBe("warning: mind this\n");
      process.env["NO_COLOR"] = "1";
      expect(styleOf(tty).good("x")).toBe("x");
    } finally {
      if (before === undefined) delete process.env["NO_COLOR"];
      else process.env["NO_COLOR"] = before;
    }
  });
});

describe("completion", () => {
  /** What bash offers for a line, whose last word is being typed. */
  const offered = async (...words: string[]): Promise<string[]> => {
    const { out: script } = await cli.run("completion", "bash");
    const asked = `${script}
COMP_WORDS=(pan ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}; _pan; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", asked], { encoding: "utf8" }).split("\n").filter(Boolean).sort();
  };
  const names = COMMANDS.map(({ name }) => name);

  it.skipIf(process.platform === "win32")("offers bash commands, options of each, and words", async () => {
    expect(await offered("")).toEqual([...names, "help", "--help", "--version"].sort());
    expect(await offered("co")).toEqual(["commit", "completion", "convert"]);
    expect(await offered("help", "ver")).toEqual(["verify"]);
    expect(await offered("completion", "")).toEqual(["bash", "fish", "zsh"]);
    for (const { name, options } of COMMANDS)
      expect(await offered(name, "--")).toEqual(
        [...Object.keys(options), "json", "help"].map((option) => `--${option}`).sort(),
      );
    // Where nothing is offered, the shell completes names of files.
    expect(await offered("verify", "sus")).toEqual([]);
  });

  it("tells zsh and fish of every command and option", async () => {
    for (const shell of ["zsh", "fish"]) {
      const { code, out } = await cli.run("completion", shell);
      expect(code).toBe(0);
      for (const { name, options } of COMMANDS) {
        expect(out).toContain(shell === "zsh" ? `    ${name}) _arguments ` : `__fish_seen_subcommand_from ${name}' `);
        for (const option of Object.keys(options))
          expect(out).toContain(shell === "zsh" ? `--${option}[` : ` -l ${option} `);
      }
    }
    expect(await cli.run("completion", "tcsh")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/bash.*zsh.*fish/),
    });
    expect(await cli.json("completion", "fish")).toMatchObject({ shell: "fish" });
  });
});

it("words that are near are found, and no others", () => {
  const known = COMMANDS.map(({ name }) => name);
  for (const name of known) {
    expect(nearest(`${name}x`, known), name).toBe(name);
    expect(nearest(name.slice(1), known), name).toBe(name);
  }
  expect(nearest("zzzzzz", known)).toBeUndefined();
  expect(nearest("x", known)).toBeUndefined();
});
