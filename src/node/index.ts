/** Entry `@pan/core/node`: what needs Node. */
export { type AdapterChoice, type DawnOptions, dawn, describeAdapter } from "./dawn";
