#!/usr/bin/env bash
# Everything that waits for a GPU, in one command:
#
#     bench/gpu.sh [tests] [bench] [epochs] [cifar] [clouds] [attacks]    (default: all of them, in this order)
#
# Results go to $OUT (default out/gpu): logs, JSON, reports, checkpoints. Trainings and attacks are sweeps of the plans in bench/gpu (docs/scale.md): the same command goes on where it stopped, and
# the rows of their tables, means over seeds, are in $OUT/cifar10/results.md and $OUT/modelnet40/results.md after every part. EPOCHS and CLOUD_EPOCHS shorten them, SEEDS="1 2 3" repeats them;
# another length or another seed is another plan, and wants another $OUT or more seeds than before. PAN_DATA names the folder of CIFAR-10 and ModelNet40.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-out/gpu}
mkdir -p "$out"
parts=("$@")
((${#parts[@]})) || parts=(tests bench epochs cifar clouds attacks)
failed=0

run() {
  local log="$out/$1.log"
  shift
  printf '\n=== %s\n' "$*"
  "$@" 2>&1 | tee "$log" || failed=1
}

# sweep PLAN PART EPOCHS: a part of the plan's tasks, and the tables of what is done so far
sweep() {
  local plan="$out/$1.plan.json" seeds="${SEEDS:-1}"
  sed -e "s/\"epochs\": [0-9]*/\"epochs\": $3/" -e "s/\"seed\": \[1\]/\"seed\": [${seeds// /, }]/" "bench/gpu/$1.json" >"$plan"
  run "$1-$2" npm run sweep -- "$plan" --task "$2" --out "$out/$1"
  run "$1-tables" npm run sweep -- "$plan" --merge --out "$out/$1"
  cat "$out/$1/results.md"
}

(nvidia-smi || vulkaninfo --summary) >"$out/machine.txt" 2>&1 || true
for part in "${parts[@]}"; do
  case $part in
    tests) run tests npm test ;;
    bench)
      run kernels npm run bench -- kernels --batch 64 --resnet-batch 64
      for each in passport step host; do run "$each" npm run bench -- "$each"; done
      run scale npm run bench -- scale
      if [[ -d bench/peers/node_modules ]]; then run peers npm run bench -- peers --resnet-batch 64; fi
      cp out/bench/*.json out/bench/*.svg "$out"/ || true
      ;;
    epochs)
      for arch in alexnet resnet18; do
        run "schemes-$arch" npm run bench -- schemes --arch "$arch" --width 1 --batch 64 --rounds 10 --steps 20
      done
      cp out/bench/schemes-*.json "$out"/ || true
      if python3 -c 'import torch' 2>/dev/null; then run torch python3 bench/torch_step.py; fi
      ;;
    cifar) sweep cifar10 trainings "${EPOCHS:-200}" ;;
    clouds) sweep modelnet40 trainings "${CLOUD_EPOCHS:-200}" ;;
    attacks)
      # On what was trained here; the other plan is left alone.
      if [[ -d "$out/cifar10" ]]; then sweep cifar10 attacks "${EPOCHS:-200}"; fi
      if [[ -d "$out/modelnet40" ]]; then sweep modelnet40 attacks "${CLOUD_EPOCHS:-200}"; fi
      ;;
    *)
      echo "tests, bench, epochs, cifar, clouds or attacks expected, found $part" >&2
      exit 2
      ;;
  esac
done
exit $failed
