import type { Command } from "../command";
import { expectFree, readBytes, write } from "../files";
import { isPrivate, loadWeights, writeWeights } from "../weights";
import { size } from "../words";

export const convert: Command = {
  name: "convert",
  summary: "Writes weights in another format",
  operands: [
    { name: "IN", about: "safetensors or NPY, known by what is in it" },
    { name: "OUT", about: "its name says the format: .safetensors, or .npy for one tensor" },
  ],
  options: {
    tensor: { value: "NAME", about: "the tensor that an NPY file shall hold" },
    force: { about: "write over a file that is there" },
  },
  notes: [
    "Numbers keep their types. Another container is another file: a commitment is to bytes, and `pan hash --tensors` shows that the numbers are the same.",
  ],
  async run(given, terminal) {
    const [from, to] = [given.operand("IN"), given.operand("OUT")];
    await expectFree(to, given.flag("force"));
    const weights = loadWeights(await readBytes(from), from);
    const bytes = writeWeights(to, weights, given.text("tensor"));
    const secret = isPrivate(weights);
    if (secret) terminal.warn(`${to} holds private tensors: it is written for you alone (0600)`);
    await write(to, bytes, { secret });
    return {
      code: 0,
      json: { from, format: weights.format, to, bytes: bytes.length, private: secret },
      text: (style) => `${style.good("written")}: ${to}, ${size(bytes.length)}, from ${weights.format}`,
    };
  },
};
