/** `@pan/core/onnx`: networks as ONNX models. */
import "../tensor/methods";

export { exportOnnx, type OnnxOptions } from "../onnx/export";
