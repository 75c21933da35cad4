/**
 * A vision transformer on a sample of CIFAR-10, passports at its layer norms.
 *
 *     npm run vit                  (a quarter of an hour or more on two CPU cores)
 */
import { init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { Adam } from "@pan/core/optim";
import { provePictures } from "./proof";
import { PLACES, VisionTransformer } from "./vit/network";

await init({ gpu: await dawn() });
await provePictures({
  network: () => new VisionTransformer(),
  passports: { at: PLACES },
  optimizer: (parameters) => new Adam(parameters, { lr: 1e-3, weightDecay: 1e-4 }),
});
