#!/bin/bash
#SBATCH --job-name=shard-sam
#SBATCH --nodes=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
# Usage: sbatch slurm/shard_sam.sh [--stills DIR --output DIR ...]; submit again after a time-out: it goes on.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec .venv/bin/python data_prep/shard_sam.py --workers "${SLURM_CPUS_PER_TASK:-0}" "$@"
