/**
 * The worker that trains: the quickstart's network and recipe, then what its owner does with it.
 */
import { encodeSafetensors, init, PanError, type SafetensorsFile } from "@pan/core";
import { cifarTransform, type ImageSet, parseCifar10, subset } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { type Binding, bind, boundCredential, commit, newSecret, verify } from "@pan/core/ownership";
import type { Protected } from "@pan/core/passport";
import { bundleSignature, encodeBundle, newSigningKey, signerOf, timestampQuery } from "@pan/core/signing";
import { type CheckpointStore, evaluate, type Trainer } from "@pan/core/train";
import { CONFIG, trainerOf, triggersOf } from "../../../examples/quickstart/recipe";
import { port } from "../port";
import type { Command, Made, Told } from "./messages";

const page = port<Command, Told>();

/** Commands that wait for the run, and the run that waits for one. */
const waiting: Command[] = [];
let wake: (() => void) | null = null;
let trainer: Trainer | null = null;

page.onmessage = ({ data: command }) => {
  if (command.kind === "start") {
    void work(command).catch((cause: unknown) => {
      const error = cause instanceof Error ? cause.message : String(cause);
      page.postMessage({ kind: "failed", error, explained: cause instanceof PanError });
    });
    return;
  }
  waiting.push(command);
  if (command.kind !== "resume") trainer?.stop();
  wake?.();
};

async function next(): Promise<Command> {
  while (!waiting.length) await new Promise<void>((resolve) => (wake = resolve));
  return waiting.shift()!;
}

/** Where a pause keeps the run: checkpoints never leave the worker. */
function inMemory(): CheckpointStore {
  let kept: Uint8Array<ArrayBuffer> | null = null;
  return {
    async save(bytes) {
      kept = new Uint8Array(bytes);
    },
    load: async () => kept,
  };
}

/** Trains to the end, or until it shall be finished as it is. */
async function untilFinished(run: Trainer, { train, test }: Data, epochs: number): Promise<void> {
  for (let resume = false; ; ) {
    // A pause may have come before there was anything to stop.
    if (!waiting.length) {
      for await (const record of run.fit(train, { epochs, test, resume })) page.postMessage({ kind: "epoch", record });
      if (!run.interrupted) return;
      resume = true;
    }
    for (let command = await next(); command.kind !== "resume"; command = await next()) {
      if (command.kind === "finish") return;
      page.postMessage({ kind: "paused" });
    }
  }
}

interface Data {
  readonly train: ImageSet;
  readonly test: ImageSet;
}

async function work({ plan, ...sample }: Extract<Command, { kind: "start" }>): Promise<void> {
  const device = await init();
  page.postMessage({ kind: "ready", adapter: device.name });
  const data = {
    train: subset(parseCifar10(sample.train), 0, plan.images),
    test: subset(parseCifar10(sample.test), 0, plan.testImages),
  };
  const model = buildNetwork(CONFIG, { seed: plan.seed });
  const { privateKey, publicKey } = await newSigningKey();
  const triggers = triggersOf(data.train, plan);
  const binding: Binding = {
    statement: plan.statement,
    secret: newSecret(),
    publicKey,
    ...(triggers && { triggers }),
  };
  const claim = await bind(model, binding);
  trainer = trainerOf(model, claim, plan, {
    checkpoints: inMemory(),
    readEvery: 5,
    onProgress: (progress) => page.postMessage({ kind: "progress", progress }),
  });
  await untilFinished(trainer, data, plan.epochs);
  page.postMessage({ kind: "signing" });
  await claimIt(model, { binding, privateKey, test: data.test });
}

const fileOf = ({ tensors, metadata }: SafetensorsFile) => new Uint8Array(encodeSafetensors(tensors, metadata));

/** Gives the network away, keeps the owner's half, commits, and verifies as a stranger would. */
async function claimIt(
  model: Protected,
  { binding, privateKey, test }: { binding: Binding; privateKey: string; test: ImageSet },
): Promise<void> {
  const transform = cifarTransform("test");
  const claimed = await evaluate(model, test, { transform });
  const released = fileOf(await model.deployed());
  const credential = fileOf(await boundCredential(await model.credential(claimed), binding));
  const bundle = await commit(credential, released, await signerOf(privateKey), { name: "deployed.safetensors" });
  const text = (of: string) => new TextEncoder().encode(of);
  const files: Made[] = [
    { name: "deployed.safetensors", bytes: released, secret: false, about: "Give this away." },
    {
      name: "commitment.sigstore.json",
      bytes: text(encodeBundle(bundle)),
      secret: false,
      about: "Publish this before the release, with a time stamp.",
    },
    {
      name: "commitment.tsq",
      bytes: await timestampQuery(bundleSignature(bundle)),
      secret: false,
      about: "The question to a time-stamp authority.",
    },
    {
      name: "owner.credential.safetensors",
      bytes: credential,
      secret: true,
      about: "Your half: who has it reads your mark.",
    },
    { name: "owner.key.pem", bytes: text(privateKey), secret: true, about: "Who has it signs as you." },
    {
      name: "binding.secret.json",
      bytes: text(`${JSON.stringify(binding, null, 2)}\n`),
      secret: true,
      about: "What all passports and bits follow from.",
    },
  ];
  const found = await verify(released, credential, { commitment: bundle, released, test, transform });
  page.postMessage({ kind: "done", files, found });
}
