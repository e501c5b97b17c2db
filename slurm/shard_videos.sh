#!/bin/bash
#SBATCH --job-name=shard-videos
#SBATCH --nodes=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --output=%x-%A-%a.log
# Usage: sbatch --array=0-63 slurm/shard_videos.sh --videos DIR --output OUT; submit it again after a time-out to resume.
# Then:  sbatch slurm/merge.sh OUT. Without --array one task does everything, and merges.
# To repeat only some tasks, name how many there are in all: sbatch --array=3,17 slurm/shard_videos.sh --work.num_tasks 64 ...
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec .venv/bin/python data_prep/shard_videos.py --work.workers "${SLURM_CPUS_PER_TASK:-0}" \
    --work.task "${SLURM_ARRAY_TASK_ID:-0}" --work.num_tasks "${SLURM_ARRAY_TASK_COUNT:-1}" "$@"
