/**
 * The experiment on 3-D shapes: train PointNet on ModelNet40 with passport-aware normalisation,
 * give it away, prove that it is yours.
 *
 *     npm run modelnet40 -- --scheme pan --data DIR                      (--help lists the options)
 *     npm run modelnet40 -- --preset cpu                                 (about 15 minutes without a GPU)
 */
import { init } from "@pan/core";
import { pointTransform } from "@pan/core/data";
import { buildNetwork, pointNetConfig } from "@pan/core/models";
import { dawn } from "@pan/core/node";
import { Adam, stepLR } from "@pan/core/optim";
import { runExperiment } from "./experiment";
import { drawnTriggers, loadData } from "./modelnet40/data";
import { HELP, readSettings, type Settings } from "./modelnet40/settings";
import { runTask } from "./options";
import { say } from "./show";

async function main(s: Settings, command: string): Promise<void> {
  const device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const { train, test, triggers } = await loadData(s);
  say(
    `data       ${train.length} training and ${test.length} test clouds of ${s.points} points, ${train.classes.length} classes${triggers ? `, ${triggers.length} triggers` : ""}`,
  );
  const { scheme, norm, width, points, dropout, branchStatistics, layers, signature, seed } = s;
  const config = pointNetConfig({
    classes: train.classes.length,
    scheme,
    width,
    points,
    dropout,
    ...(norm && { norm }),
    ...(layers && { passports: layers, branchStatistics, ...(signature && { signature }) }),
  });
  const model = buildNetwork(config, { seed });
  const { lr, weightDecay, stepSize, gamma } = s;
  await runExperiment({
    title: `PointNet, ${scheme}, ModelNet40`,
    command,
    device,
    arch: "pointnet",
    model,
    data: {
      name: "ModelNet40",
      points,
      tests: { count: test.length, seed },
      ...(s.classes && { classes: train.classes }),
      ...(triggers && { triggers: { count: triggers.length, seed } }),
    },
    train,
    test,
    triggers,
    transform: pointTransform,
    optimizer: new Adam(model.parameters(), { lr, weightDecay }),
    schedule: stepLR({ stepSize, gamma }),
    passports: scheme === "plain" ? "none" : s.statement ? "bound to a secret and a statement" : "random",
    shown: {
      ...{ width, points, classes: s.classes?.join(", ") ?? "all", dropout, branchStatistics, signature },
      ...{ epochs: s.epochs, batchSize: s.batchSize, lr, weightDecay, stepSize, gamma, seed },
      ...(s.accumulate > 1 && { accumulate: s.accumulate }),
      ...(s.labelSmoothing && { labelSmoothing: s.labelSmoothing }),
      ...(triggers && { triggers: triggers.length }),
      ...(s.boundTriggers && { boundTriggers: `${s.boundTriggers.groups} × ${s.boundTriggers.count}` }),
      ...(s.triggerPerturbation && { triggerPerturbation: s.triggerPerturbation }),
      ...((triggers || s.boundTriggers) && { triggerBatch: s.triggerBatch }),
      ...(s.statement !== undefined && { statement: s.statement }),
      layers: JSON.stringify(layers ?? {}),
      mode: JSON.stringify(s.mode),
    },
    settings: s,
    ...(triggers && { clouds: drawnTriggers(triggers) }),
  });
}

await runTask("modelnet40", { help: HELP, read: readSettings }, main);
