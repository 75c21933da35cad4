#!/usr/bin/env bash
# Everything that waits for a GPU, in one command:
#
#     bench/gpu.sh [tests] [bench] [epochs] [cifar] [clouds]        (default: all of them, in this order)
#
# Results go to $OUT (default out/gpu): logs, JSON, reports, checkpoints. Trainings resume where they stopped, so the command can be given again. EPOCHS and CLOUD_EPOCHS shorten them;
# PAN_DATA names the folder of CIFAR-10 and ModelNet40.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-out/gpu}
mkdir -p "$out"
parts=("$@")
((${#parts[@]})) || parts=(tests bench epochs cifar clouds)
failed=0

run() {
  local log="$out/$1.log"
  shift
  printf '\n=== %s\n' "$*"
  "$@" 2>&1 | tee "$log" || failed=1
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
    cifar)
      for arch in alexnet resnet18; do
        for scheme in plain v1 v2 v3 pan; do
          run "cifar10-$arch-$scheme" npm run cifar10 -- --arch "$arch" --scheme "$scheme" --epochs "${EPOCHS:-200}" --source "$out/$arch-plain/deployed.safetensors" --out "$out/$arch-$scheme" --resume
        done
      done
      ;;
    clouds)
      for scheme in plain pan; do
        run "modelnet40-$scheme" npm run modelnet40 -- --scheme "$scheme" --epochs "${CLOUD_EPOCHS:-200}" --out "$out/pointnet-$scheme" --resume
      done
      ;;
    *)
      echo "tests, bench, epochs, cifar or clouds expected, found $part" >&2
      exit 2
      ;;
  esac
done
exit $failed
