import { init, scope, Tensor, Linear, ReLU, Sequential, SGD, crossEntropy, Generator } from "../src/index";
import { dawn } from "../src/node/index";
const d = await init({ gpu: await dawn() });
const random = new Generator(2);
const net = new Sequential(new Linear(6, 8, { random }), new ReLU(), new Linear(8, 3, { random }));
const sgd = new SGD(net.parameters(), { lr: 0.05, momentum: 0.9 });
const img = new Float32Array(30).fill(.5), lab = Int32Array.from([0,1,2,0,1]);
const step = () => scope(() => { const x = Tensor.from(img,[5,6]); const y = Tensor.from(lab,[5]); sgd.zeroGrad(); const l = crossEntropy(net.forward(x), y); l.backward(); sgd.step(); return l; });
const run = async (n: number) => { for (let k=0;k<n;k++){ step().dispose(); d.flush(); if (k%50===49) await d.sync(); } await d.sync(); };
await run(300);
const u: number[] = [];
for (let r=0;r<5;r++){ const c = process.cpuUsage(); const t=performance.now(); await run(300); const e = process.cpuUsage(c); u.push((performance.now()-t)/300, e.user/300/1000); }
console.log(u.map(v=>v.toFixed(3)).join(" "));
process.exit(0);
