#!/bin/bash
#SBATCH --job-name=train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --mem=128G
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# Usage: sbatch --nodes=2 slurm/train.sh --config configs/train/mimicbrush.yaml; every task is one rank.
# The ranks share run.samples_per_step, so a step takes as many samples on any number of nodes.
# Nodes, GPUs and time come from here or the command line: --ntasks-per-node=4 --gpus-per-node=4; without GPUs --gpus-per-node=0.
# Memory: with mimicbrush.yaml a rank has 7.4 GiB to itself at the peak of its start (mimicbrush/training/README.md), so 8 ranks 59 GiB a
# node; the rest is for their 56 loader workers and the cache of files. mimicbrush_paper.yaml keeps frozen weights in float32: give it more.
# Five minutes before the job's time is over every rank gets SIGUSR1: the run is saved and queued again, and resumes.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?submit with sbatch from the project folder}"
[[ " $*" == *" --config"* ]] || set -- --config=configs/train/mimicbrush.yaml "$@"
# Since Slurm 22.05 srun takes the number of CPUs from no other place. exec: signals for the script are then the ranks'.
exec srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" .venv/bin/python train.py "$@"
