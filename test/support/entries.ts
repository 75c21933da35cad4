/** All entries of the package that run in browsers, as one: no name is in two of them. */
export * from "@pan/core";
export * from "@pan/core/attacks";
export * from "@pan/core/data";
export * from "@pan/core/models";
export * from "@pan/core/nn";
export * from "@pan/core/optim";
export * from "@pan/core/ownership";
export * from "@pan/core/passport";
export * from "@pan/core/signing";
export * from "@pan/core/train";
export * from "@pan/core/weights";
