export * from "./cifar";
export * from "./dataset";
export * from "./loader";
export * from "./transforms";
