#!/usr/bin/env bash
# Runs a sweep of twelve tiny tasks on a real Slurm of one node, ends three of them in the middle,
# and compares what the sweep found with what a serial run finds: equal bytes. Debian, root; it
# installs Slurm and Munge, and leaves system settings alone. Some ten minutes on two cores, so it
# is no part of the other checks.
#
#     scripts/slurm-test.sh [FOLDER]       (default a new one; what is done there is not done again)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-$(mktemp -d /tmp/pan-slurm.XXXXXX)}
mkdir -p "$dir/slurm/state" "$dir/slurm/spool" "$dir/data"
say() { printf '%s  %s\n' "$(date +%T)" "$*"; }

missing() { for program in slurmctld slurmd sbatch srun sinfo scontrol munged; do command -v "$program" >/dev/null || return 0; done; return 1; }
if missing; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
fi

# The committed sample in the layout of the official files.
node -e '
  const { readFileSync, writeFileSync } = require("node:fs");
  const [data] = process.argv.slice(1);
  const part = (name, from, to) => readFileSync(`examples/data/${name}`).subarray(3073 * from, 3073 * to);
  for (let i = 0; i < 5; i++) writeFileSync(`${data}/data_batch_${i + 1}.bin`, part("train_sample.bin", 20 * i, 20 * i + 20));
  writeFileSync(`${data}/test_batch.bin`, part("test_sample.bin", 0, 100));
' "$dir/data"
export PAN_DATA="$dir/data"
cat > "$dir/plan.json" <<'JSON'
{
  "program": "cifar10",
  "options": {
    "arch": "alexnet", "width": 0.0625, "images": 50, "tests": 50, "batch": 25, "epochs": 12, "lr": 0.05,
    "passports": "random", "passport-layers": "5,6", "signature": "A", "forgeries": 1
  },
  "grid": { "scheme": ["plain", "pan"], "seed": [1, 2, 3, 4] },
  "attacks": { "grid": { "attack": ["random-passports"] }, "exclude": [{ "on.scheme": "plain" }] }
}
JSON
sweep() { nice -n 5 node scripts/run.mjs sweep "$dir/plan.json" "$@"; }

# One node, two processors, and nothing of the kernel's that a container may not have.
host=$(hostname -s)
cat > "$dir/slurm/slurm.conf" <<CONF
ClusterName=sweep
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=20
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation=$dir/slurm/state
SlurmdSpoolDir=$dir/slurm/spool
SlurmctldPidFile=$dir/slurm/slurmctld.pid
SlurmdPidFile=$dir/slurm/slurmd.pid
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$dir/slurm/slurm.conf"
started=()
finish() {
  scancel --user=root 2>/dev/null || true
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
}
trap finish EXIT
if ! munge -n >/dev/null 2>&1; then
  install -d -o munge -g munge -m 755 /run/munge /var/log/munge
  runuser -u munge -- munged --foreground >"$dir/slurm/munged.log" 2>&1 &
  started+=($!)
  for _ in $(seq 50); do munge -n >/dev/null 2>&1 && break; sleep 0.2; done
fi
slurmctld -D >"$dir/slurm/slurmctld.log" 2>&1 &
started+=($!)
slurmd -D >"$dir/slurm/slurmd.log" 2>&1 &
started+=($!)
for _ in $(seq 100); do [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break; sleep 0.3; done
sinfo

out="$dir/slurm-out"
submit() { sbatch --parsable --output="$dir/slurm/%A_%a.log" "$@" examples/sweep/jobs/slurm.sh "$dir/plan.json" "$out"; }
train=$(submit --array=0-7%2 --cpus-per-task=1)
attack=$(submit --array=8-11%2 --cpus-per-task=1 --dependency="afterok:$train")
say "array $train trains, array $attack attacks when it is done"

folders=$(sweep --list --json --out "$out" | sed -n '/^\[/,$p' |
  node -e 'for (const t of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) console.log(t.folder)')
# Until a task has left a file, by which it is in the middle.
begun() {
  local folder
  folder="$out/$(sed -n "$(($1 + 1))p" <<<"$folders")"
  for _ in $(seq 3000); do [ -e "$folder/$2" ] && break; sleep 0.2; done
  if [ -e "$folder/done.json" ]; then say "task $1 was done before it could be ended"; exit 1; fi
}
crash() {
  local folder
  folder="$out/$(sed -n "$(($1 + 1))p" <<<"$folders")"
  node -e 'for (const { pid } of JSON.parse(require("node:fs").readFileSync(process.argv[1])).processes)
    process.kill(pid, "SIGKILL")' "$folder/attempts/1.json"
}
# Asked of a job that is just being requeued, scancel asks again for minutes.
terminate() { timeout 5 scancel --signal=TERM "$1" || true; }
# Slurm waits with what it begins again; and what failed, its owner requeues.
press() {
  squeue -h -r -t PENDING -o '%i %r' | while read -r job reason; do
    [[ ! $reason =~ ^(BeginTime|NonZeroExitCode)$ ]] || scontrol update JobId="$job" StartTime=now || true
  done
  if scontrol show job "$1" -o 2>/dev/null | grep -q JobState=FAILED; then
    say "$1 has failed, and is requeued"
    scontrol requeue "$1"
  fi
}
begun 1 last.checkpoint
say "task 1: taken away and requeued, as when its node is drained"
scontrol requeue "${train}_1"
begun 0 last.checkpoint
say "task 0: SIGTERM to its program, as before the end of its time"
terminate "${train}_0"
until [ "$(squeue -h -j "$attack" -t RUNNING | wc -l)" -gt 0 ]; do press "${train}_0"; sleep 1; done
begun 8 task.json
sleep 5
say "task 8: its processes killed at once, as by a crash"
crash 8
sleep 3
while [ -n "$(squeue -h -o %i)" ]; do press "${attack}_8"; sleep 2; done
say "Slurm has done"
sweep --list --out "$out"
sweep --merge --out "$out"

say "the same in turn"
sweep --task all --out "$dir/serial-out" >>"$dir/serial.log" 2>&1
sweep --merge --out "$dir/serial-out"

for name in results.json results.csv results.md means.csv; do
  cmp "$out/$name" "$dir/serial-out/$name"
  sha256sum "$out/$name" "$dir/serial-out/$name"
done
cat "$out/runs.md"
say "equal bytes; everything is in $dir"
