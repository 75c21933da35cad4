/**
 * A network of one's own: passport layers put together with plain ones, trained by a loop of one's
 * own.
 *
 *     npm run own-network          (about a minute and a half on two CPU cores)
 */
import { readFile } from "node:fs/promises";
import {
  add,
  type Branch,
  Conv2d,
  cifarTransform,
  correctCount,
  crossEntropy,
  DataLoader,
  decodeSignature,
  Generator,
  globalAvgPool,
  type ImageSet,
  init,
  Linear,
  Module,
  noGrad,
  PassportLayer,
  parseCifar10,
  relu,
  SGD,
  scope,
  Tensor,
} from "../src/index";
import { dawn } from "../src/node/index";

const SIGNATURE = "ACME";
const EPOCHS = 3;
const random = new Generator(1);

/** The network, in ten lines. */
class Mine extends Module {
  readonly stem = new Conv2d(3, 24, 5, { stride: 2, padding: 2, random: random.fork("stem") });
  readonly mark = new PassportLayer(new Conv2d(24, 48, 3, { stride: 2, padding: 1, bias: false, random }), {
    inputSize: [16, 16],
    signature: SIGNATURE,
    random,
  });
  readonly head = new Linear(48, 10, { random: random.fork("head") });
  forward(x: Tensor, branch: Branch): Tensor {
    const features = this.mark.forward(relu(this.stem.forward(x)), branch);
    return this.head.forward(globalAvgPool(features));
  }
}

const device = await init({ gpu: await dawn() });
const read = async (name: string) => parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)));
const [train, test] = [await read("train_sample.bin"), await read("test_sample.bin")];
const model = new Mine();
const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, nesterov: true });

const transform = cifarTransform("test");
const loader = new DataLoader(train, { batchSize: 50, shuffle: true, dropLast: true, seed: 1, transform });
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  for await (const { images, labels, shape, size } of loader) {
    scope(() => {
      const [x, y] = [Tensor.from(images, shape), Tensor.from(labels, [size])];
      const [open, secret] = [model.forward(x, "public"), model.forward(x, "private")];
      const signs = model.mark.signLoss(model.mark.gammaBeta().raw);
      optimizer.zeroGrad();
      add(add(crossEntropy(open, y), crossEntropy(secret, y)), signs).backward();
      optimizer.step();
    });
    device.flush(); // one submit per step
  }
  console.log(`epoch ${epoch + 1} of ${EPOCHS}`);
}

model.eval();
const share = async (branch: Branch) => `${(100 * (await accuracy(test, branch))).toFixed(1)} %`;
console.log(`public  ${await share("public")}`);
console.log(`private ${await share("private")}`);
console.log(`the signs of γ spell "${decodeSignature(await model.mark.readGamma(), SIGNATURE.length)}"`);
model.mark.randomPassports(new Generator(2));
console.log(`private, with a stranger's passport: ${await share("private")}`);
model.dispose();
optimizer.dispose();

async function accuracy(set: ImageSet, branch: Branch): Promise<number> {
  let right = 0;
  for await (const { images, labels, shape, size } of new DataLoader(set, { batchSize: 100, transform })) {
    const hits = scope(() =>
      noGrad(() => correctCount(model.forward(Tensor.from(images, shape), branch), Tensor.from(labels, [size]))),
    );
    right += await hits.item();
    hits.dispose();
  }
  return right / set.length;
}
