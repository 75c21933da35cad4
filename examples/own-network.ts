/**
 * A network of one's own: written for one tensor, protected, trained by the package's trainer,
 * given away, and verified by a stranger who has none of its code.
 *
 *     npm run own-network          (about a minute and a half on two CPU cores)
 */
import { init, type Tensor } from "@pan/core";
import { cifarTransform } from "@pan/core/data";
import { BatchNorm, Conv2d, globalAvgPool, Linear, Module, relu } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { bind, boundCredential, commit, newSecret, verify } from "@pan/core/ownership";
import { protect } from "@pan/core/passport";
import { newSigningKey, signerOf } from "@pan/core/signing";
import { Trainer } from "@pan/core/train";
import { pictures } from "./pictures";
import { percent } from "./proof";

/** The network, in ten lines: no word of passports. */
class Mine extends Module {
  readonly stem = new Conv2d(3, 24, 5, { stride: 2, padding: 2 });
  readonly conv = new Conv2d(24, 256, 3, { stride: 2, padding: 1, bias: false });
  readonly norm = new BatchNorm(256);
  readonly head = new Linear(256, 10);
  forward(x: Tensor): Tensor {
    const features = relu(this.norm.forward(this.conv.forward(relu(this.stem.forward(x)))));
    return this.head.forward(globalAvgPool(features));
  }
}

await init({ gpu: await dawn() });
const { train, test } = await pictures();

const owned = protect(new Mine(), { scheme: "pan", at: "norm", signature: "ACME", sample: [1, 32, 32, 3] });
// Keep the private key and the secret: whoever has them claims as you.
const key = await newSigningKey();
const binding = { statement: "Trained by ACME, with @pan/core", secret: newSecret(), publicKey: key.publicKey };
await bind(owned, binding);

const optimizer = new SGD(owned.parameters(), { lr: 0.05, momentum: 0.9, nesterov: true });
const transform = cifarTransform("test");
const trainer = new Trainer(owned, optimizer, { batchSize: 50, seed: 1, transform, testTransform: transform });
for await (const e of trainer.fit(train, { epochs: 3, test }))
  console.log(
    `epoch ${e.epoch}: public ${percent(e.public)}, private ${percent(e.private)}, ${e.bitsMatched} of ${e.bits} bits`,
  );

const released = await owned.deployed(); // give this away: the state dict of Mine, and nothing else
const credential = await boundCredential(await owned.credential(), binding); // keep this secret
// publish this, with a time stamp, before the release
const commitment = await commit(credential, released, await signerOf(key.privateKey));
owned.dispose();
optimizer.dispose();
console.log(`released: ${[...released.tensors.keys()].join(", ")}`);

// A stranger: the files alone say whose mark it is, the network's code measures the branches.
const model = () => new Mine();
const found = await verify(released, credential, { commitment, released, model, test, transform });
const { decodedText, accuracy } = found.examination!;
console.log(`"${decodedText}", ${found.mark!.bits!.hits} of ${found.mark!.bits!.count} bound bits`);
console.log(`public ${percent(accuracy.public)}, private ${percent(accuracy.private)}`);
// It would hold with a time stamp of the commitment, and the date when the suspect was published.
console.log(`${found.verdict}: ${found.sentence}`);
