/** Compiles the kernels of a JSON file with Dawn, which prints what it makes of each. */
import { readFileSync, writeSync } from "node:fs";
import { dawn } from "@pan/core/node";
import { MARK } from "./spirv";

const kernels = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as string[];
// As AMD's own, Mesa's software driver checks accesses to buffers itself: Dawn leaves that out of
// what it makes. It does not for SwiftShader, which besides compiles each kernel to its end.
const options = { features: ["dump_shaders"] };
const gpu = await dawn({ ...options, adapter: "lavapipe" }).catch(() => dawn(options));
const adapter = (await gpu.requestAdapter())!;
const wanted = ["subgroups", "shader-f16"] as GPUFeatureName[];
const names = [
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxImmediateSize",
];
const limits = adapter.limits as unknown as Record<string, number | undefined>;
const device = await adapter.requestDevice({
  requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
  requiredLimits: Object.fromEntries(names.flatMap((name) => (limits[name] ? [[name, limits[name]]] : []))),
});
for (const [i, code] of kernels.entries()) {
  // Past Node's own buffer: Dawn writes to the same file.
  writeSync(2, `\n${MARK}${i}\n`);
  const module = device.createShaderModule({ code });
  await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
}
