/**
 * A network of one's own: written for one tensor, protected, trained by the package's trainer,
 * given away, and verified by a stranger who has none of its code.
 *
 *     npm run own-network          (about a minute and a half on two CPU cores)
 */
import { readFile } from "node:fs/promises";
import { init, type Tensor } from "@pan/core";
import { cifarTransform, parseCifar10 } from "@pan/core/data";
import { BatchNorm, Conv2d, globalAvgPool, Linear, Module, relu } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { bind, boundCredential, commit, newSecret, verify } from "@pan/core/ownership";
import { protect } from "@pan/core/passport";
import { Trainer } from "@pan/core/train";

/** The network, in ten lines: no word of passports. */
class Mine extends Module {
  readonly stem = new Conv2d(3, 24, 5, { stride: 2, padding: 2 });
  readonly conv = new Conv2d(24, 128, 3, { stride: 2, padding: 1, bias: false });
  readonly norm = new BatchNorm(128);
  readonly head = new Linear(128, 10);
  forward(x: Tensor): Tensor {
    const features = relu(this.norm.forward(this.conv.forward(relu(this.stem.forward(x)))));
    return this.head.forward(globalAvgPool(features));
  }
}

await init({ gpu: await dawn() });
const read = async (name: string) => parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)));
const [train, test] = [await read("train_sample.bin"), await read("test_sample.bin")];

const owned = protect(new Mine(), { scheme: "pan", at: "norm", signature: "ACME", sample: [1, 32, 32, 3] });
const binding = { statement: "Trained by ACME, with @pan/core", secret: newSecret() };
await bind(owned, binding);

const optimizer = new SGD(owned.parameters(), { lr: 0.05, momentum: 0.9, nesterov: true });
const transform = cifarTransform("test");
const trainer = new Trainer(owned, optimizer, { batchSize: 50, seed: 1, transform, testTransform: transform });
const percent = (share: number | undefined) => `${(100 * (share ?? 0)).toFixed(1)} %`;
for await (const e of trainer.fit(train, { epochs: 3, test }))
  console.log(
    `epoch ${e.epoch}: public ${percent(e.public)}, private ${percent(e.private)}, ${e.bitsMatched} of ${e.bits} bits`,
  );

const deployed = await owned.deployed(); // give this away: the state dict of Mine, and nothing else
const credential = await boundCredential(await owned.credential(), binding); // keep this secret
const commitment = await commit(credential, deployed); // publish this before the release
owned.dispose();
optimizer.dispose();
console.log(`deployed: ${[...deployed.tensors.keys()].join(", ")}`);

// A stranger: files alone, no code of the network, and nothing to run.
const found = await verify(deployed, credential, { commitment });
console.log(
  `"${found.decodedText}", ${found.matched} of ${found.bits} bits: the claim ${found.holds ? "holds" : "fails"}`,
);
// With the network's code the branches are measured too.
const measured = await verify(deployed, credential, { commitment, model: () => new Mine(), test, transform });
console.log(`public ${percent(measured.accuracy.public)}, private ${percent(measured.accuracy.private)}`);
