#!/bin/bash
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log
# Usage: sbatch slurm/evaluate.sh --config configs/eval/texture_inner_id.yaml; submit again after a time-out: it goes on.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec .venv/bin/python evaluate.py "$@"
