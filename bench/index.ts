/** Everything `npm run bench` measures, one after the other. */
await import("./kernels");
await import("./step");
export {};
