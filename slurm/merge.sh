#!/bin/bash
#SBATCH --job-name=merge-shards
#SBATCH --nodes=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --output=%x-%j.log
# Usage: sbatch --dependency=afterok:JOB slurm/merge.sh OUT, with the number that sbatch gave the array.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec .venv/bin/python data_prep/merge.py "$@"
