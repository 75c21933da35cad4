import { afterEach, describe, expect, it } from "vitest";
import { BENCHES } from "../../bench/benches";
import { HelpWanted } from "../../bench/options";
import { ArgumentError } from "../../src/errors";

const given = process.argv;
afterEach(() => {
  process.argv = given;
});

/** Modules run once: each of the two has one of them to itself. */
const half = (which: number) => Object.entries(BENCHES).filter((_, i) => i % 2 === which);

describe("a bench", () => {
  it.each(half(0))("%s says what it takes when it is asked, and measures nothing", async (name, bench) => {
    process.argv = [...given.slice(0, 2), "--help"];
    const error = await bench().catch((e: Error) => e);
    expect(error).toBeInstanceOf(HelpWanted);
    expect((error as Error).message).toContain(`npm run bench -- ${name}`);
  });

  it.each(half(1))("%s refuses an option that is not there, with its help", async (name, bench) => {
    process.argv = [...given.slice(0, 2), "--nonsense"];
    const error = await bench().catch((e: Error) => e);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(new RegExp(`'--nonsense'[^]*npm run bench -- ${name}`));
  });
});
