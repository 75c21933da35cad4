/** `@pan/core/weights`: weights out of files of other programs. */
export { type DecodeWeightsOptions, decodeWeights, type WeightsFile, type WeightsFormat } from "../io/weights";
