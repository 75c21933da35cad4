/**
 * All entries of the package that run in browsers, as one: no name is in two of them, but those of
 * the verifiers' entry, which repeats names of others on purpose.
 */
export * from "@pan/core";
export * from "@pan/core/attacks";
export * from "@pan/core/data";
export * from "@pan/core/models";
export * from "@pan/core/nn";
export * from "@pan/core/onnx";
export * from "@pan/core/optim";
export * from "@pan/core/ownership";
export * from "@pan/core/passport";
export * from "@pan/core/signing";
export * from "@pan/core/train";
export * as verifier from "@pan/core/verify";
export * from "@pan/core/weights";
