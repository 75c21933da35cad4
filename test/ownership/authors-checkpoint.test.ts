/** The papers' AlexNet, as their Python code leaves it: a `.pth` of the authors' names. */
import { beforeAll, expect, it } from "vitest";
import { decodeWeights } from "../../src/io/weights";
import { alexNetConfig, buildNetwork } from "../../src/models";
import { bind, boundCredential, examine, verify } from "../../src/ownership";
import { signedState } from "../support/claims";
import { gpu } from "../support/gpu";
import { bindingFor } from "../support/owner";
import { anonymous } from "../support/renamed";
import { torchFile } from "../support/torch";

beforeAll(async () => void (await gpu()));

it("is loaded, and its network verified from a .pth as from safetensors", async () => {
  const config = alexNetConfig({ scheme: "pan", passports: { 4: true, 5: true, 6: true }, width: 1 / 6 });
  const model = buildNetwork(config, { seed: 5 });
  const binding = await bindingFor("acme");
  await bind(model, binding);
  await signedState(model, config);
  const whole = await model.stateDict();
  expect([...whole.keys()]).toContain("features.4.key_private");

  // As DataParallel and a training script save it.
  const wrapped = new Map([...whole].map(([name, t]) => [`module.${name}`, t]));
  const found = await decodeWeights(torchFile(wrapped));
  const loaded = buildNetwork(config, { seed: 6 });
  loaded.loadStateDict(new Map([...found.tensors].map(([name, t]) => [name.replace(/^module\./, ""), t])));
  expect((await loaded.stateDict()).get("features.4.weight")).toEqual(whole.get("features.4.weight"));

  const credential = await boundCredential(await loaded.credential(), binding);
  const deployed = await loaded.deployed();
  const pth = await decodeWeights(torchFile(deployed.tensors));
  const [first, second] = [await verify(deployed, credential), await verify(pth, credential)];
  expect(first.verdict).toBe("mark present");
  expect({ ...second, suspectSha256: "" }).toEqual({ ...first, suspectSha256: "" });
  expect((await examine(pth, credential)).matched).toBe(first.mark!.bits!.hits);

  // Without a committed file nobody knows which tensor is which.
  await expect(verify(await decodeWeights(torchFile(anonymous(deployed).tensors)), credential)).rejects.toThrow();
  for (const network of [model, loaded]) network.dispose();
});
