/** The page: its tabs, put in place. */
import { el } from "./dom";
import { judgeTab } from "./judge-tab";
import { showTabs } from "./tabs";
import { VerifyTab } from "./verify-tab";

const verify = new VerifyTab();
const train = el("section", {}, el("p", {}, "Loading …"));

/** What trains is larger than all the rest, and loaded when it is looked at. */
async function showTraining(): Promise<void> {
  const { TrainTab } = await import("./train/tab");
  const tab = new TrainTab((files) => {
    verify.put(files);
    choose("verify");
  });
  train.replaceChildren(tab.element);
}

const tabs = [
  { name: "verify", title: "Verify", panel: verify.panel },
  { name: "judge", title: "Judge", panel: judgeTab() },
  { name: "train", title: "Train", panel: train, first: showTraining },
];
const choose = showTabs(document.getElementById("tabs")!, document.getElementById("panels")!, tabs);

// A file that is dropped beside the fields would open in the place of the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
