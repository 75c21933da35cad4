import { Device, type DeviceOptions } from "../../src/gpu/device";
import { dawn } from "../../src/node/dawn";

/**
 * A device beside the shared one, for tests that break, lose or configure theirs. It is not the one
 * `device()` gives: make its tensors with `Tensor.from(data, shape, d)` and run kernels on it
 * directly.
 */
export async function ownDevice(options: DeviceOptions = {}): Promise<Device> {
  const adapter = (await (await dawn()).requestAdapter())!;
  const optional = ["subgroups", "timestamp-query"] as GPUFeatureName[];
  const gpu = await adapter.requestDevice({ requiredFeatures: optional.filter((f) => adapter.features.has(f)) });
  return new Device(gpu, adapter.info, options);
}
