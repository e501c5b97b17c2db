#!/bin/bash
#SBATCH --job-name=shard-videos
#SBATCH --nodes=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
# Usage: sbatch slurm/shard_videos.sh [--videos DIR --output DIR ...]; submit again after a time-out: it goes on.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
# Large temporary arrays are kept by the allocator rather than mapped anew for each frame.
export MALLOC_MMAP_THRESHOLD_=268435456 MALLOC_TRIM_THRESHOLD_=536870912
exec .venv/bin/python data_prep/shard_videos.py --workers "${SLURM_CPUS_PER_TASK:-0}" "$@"
