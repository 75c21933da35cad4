#!/bin/bash
# A task of a sweep as an array job: sbatch --gpus=1 --array=0-11%4 slurm.sh PLAN.json FOLDER
#SBATCH --job-name=sweep --requeue --open-mode=append --output=sweep-%A_%a.log
#SBATCH --time=04:00:00
# SIGTERM to the program two minutes before the time is over: it saves a checkpoint.
#SBATCH --signal=TERM@120
code=0
srun node scripts/run.mjs sweep "$1" --task auto --out "$2" || code=$?
if [ $code -eq 75 ]; then scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"; fi
exit $code
