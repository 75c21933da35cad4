/** Everything `npm run bench` measures, one after the other. */
await import("./kernels");
await import("./passport");
await import("./step");
export {};
