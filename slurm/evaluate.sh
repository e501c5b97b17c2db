#!/bin/bash
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log
# Usage: sbatch slurm/evaluate.sh --config configs/eval/texture_inner_id.yaml; submit it again after a time-out to resume.
# An array shares the samples; the second job gathers the results, prints the tables and writes the report:
#   sbatch --array=0-7 slurm/evaluate.sh --config FILE        # prints a job's number
#   sbatch --dependency=afterok:NUMBER slurm/evaluate.sh --config FILE
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec .venv/bin/python evaluate.py \
    --work.task "${SLURM_ARRAY_TASK_ID:-0}" --work.num_tasks "${SLURM_ARRAY_TASK_COUNT:-1}" "$@"
