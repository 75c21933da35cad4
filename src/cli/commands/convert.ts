import type { Command } from "../command";
import { expectFree, readBytes, write } from "../files";
import { line } from "../printable";
import { isPrivate, weightsIn, writeWeights } from "../weights";
import { size } from "../words";

export const convert: Command = {
  name: "convert",
  summary: "Writes weights in another format",
  operands: [
    {
      name: "IN",
      about:
        "safetensors, PyTorch (.pth of both forms), ONNX, model.json of TensorFlow.js, the index of a model in several files, or NPY; known by what is in it",
    },
    { name: "OUT", about: "its name says the format: .safetensors, or .npy for one tensor" },
  ],
  options: {
    tensor: { value: "NAME", about: "the tensor that an NPY file shall hold" },
    force: { about: "write over a file that is there" },
  },
  notes: [
    "Numbers keep their types, tensors their names and orders of dimensions; what TensorFlow.js quantised is decoded. Of a PyTorch checkpoint the state dict is written; no code of a pickle is run. Another container is another file: a commitment is to bytes, and `pan hash --tensors` shows that the numbers are the same.",
  ],
  async run(given, terminal) {
    const [from, to] = [given.operand("IN"), given.operand("OUT")];
    await expectFree(to, given.flag("force"));
    const weights = await weightsIn(await readBytes(from), from);
    const bytes = writeWeights(to, weights, given.text("tensor"));
    const secret = isPrivate(weights);
    if (secret) terminal.warn(`${to} holds private tensors: it is written for you alone (0600)`);
    await write(to, bytes, { secret });
    return {
      code: 0,
      json: { from, container: weights.container, notes: weights.notes, to, bytes: bytes.length, private: secret },
      text: (style) =>
        [
          `${style.good("written")}: ${line(to)}, ${size(bytes.length)}, from ${weights.container}`,
          ...weights.notes.map((note) => `  - ${line(note)}`),
        ].join("\n"),
    };
  },
};
