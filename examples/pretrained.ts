/**
 * Trained networks that lie in examples/pretrained: what they are, whether the files are those that
 * were put there, how well they do, and whose they are. Nothing is trained.
 *
 *     npm run pretrained            (npm run pretrained -- --help lists the options)
 */
import { relative } from "node:path";
import { ArgumentError, init } from "@pan/core";
import { cifarTransform, type ImageSet } from "@pan/core/data";
import { loadDeployed } from "@pan/core/models";
import { dawn } from "@pan/core/node";
import { verify } from "@pan/core/ownership";
import { evaluate } from "@pan/core/train";
import { listOf, parseOptions, runTask } from "./options";
import { pictures } from "./pictures";
import { loadPretrained, type Pretrained, pretrainedNames } from "./pretrained/load";
import { ship } from "./pretrained/ship";
import { printVerdict, say } from "./show";

const HELP = `npm run pretrained -- [options]      shows the trained networks that lie in examples/pretrained

  --network LIST    names with commas between (default: all)
  --published DATE  when the network that is accused, here the released one, was published (default 2026-06-01)

for whoever adds one
  --ship DIR        the folder of a finished run of npm run cifar10
  --as NAME         what to call it there
  --stamped DATE    date of the commitment's time stamp, by an authority of the demonstration (default 2026-03-02;
                    needs OpenSSL 3)`;

interface Settings {
  networks: readonly string[];
  published: string;
  shipped: { run: string; name: string; stamped: string } | null;
}

const dateOf = (option: string, text: string): string => {
  if (/^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw new ArgumentError(`--${option}: a date such as 2026-12-24 expected, found "${text}"`);
};

function readSettings(args: string[]): Settings | "help" {
  const texts = { network: "", published: "2026-06-01", ship: "", as: "", stamped: "" };
  const v = parseOptions(args, { texts, switches: ["help"], help: HELP });
  if (v.help) return "help";
  if (v.ship && !/^[a-z\d][a-z\d-]*$/.test(v.as))
    throw new ArgumentError(`--as: a name of small letters, digits and hyphens expected, found "${v.as}"`);
  for (const name of ["as", "stamped"] as const)
    if (v[name] && !v.ship) throw new ArgumentError(`--${name}: --ship expected beside it, found none`);
  return {
    networks: listOf(v.network),
    published: dateOf("published", v.published),
    shipped: v.ship
      ? { run: v.ship, name: v.as, stamped: `${dateOf("stamped", v.stamped || "2026-03-02")}T09:00:00Z` }
      : null,
  };
}

/** Reads a network from its files alone, and says what it comes to. */
async function show({ name, folder, ...files }: Pretrained, test: ImageSet, published: string): Promise<void> {
  const { deployed, credential, commitment, root } = files;
  say(`\n${name}    ${relative(process.cwd(), folder)}, as SHA256SUMS says`);
  const transform = cifarTransform("test");
  if (!credential) {
    const model = loadDeployed(deployed);
    const { public: accuracy } = await evaluate(model, test, { transform });
    model.dispose();
    say(`  accuracy         ${(100 * accuracy!).toFixed(1)} %, a plain network: nobody can prove anything of it`);
    return;
  }
  const verified = await verify(deployed, credential, {
    ...{ test, transform, published },
    ...(commitment !== null && { commitment, released: deployed }),
    ...(root !== null && { roots: [root] }),
  });
  const dates = { stamp: undefined, root: undefined, published };
  printVerdict(verified, { dates, triggers: null, forged: [] });
}

async function main({ networks, published, shipped }: Settings): Promise<void> {
  if (shipped) {
    const folder = await ship(shipped.run, shipped.name, shipped.stamped);
    say(`shipped    ${relative(process.cwd(), folder)}`);
    return;
  }
  const device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const { test } = await pictures();
  say(`data       ${test.length} test images of CIFAR-10`);
  for (const name of networks.length ? networks : await pretrainedNames())
    await show(await loadPretrained(name), test, published);
}

await runTask("pretrained", { help: HELP, read: readSettings }, main);
