#!/usr/bin/env bash
# Training on a cluster: each task is one rank. Nodes, GPUs and time from here or the command line:
#   sbatch --nodes=2 slurm/train.sh --config configs/train/mimicbrush.yaml
#SBATCH --job-name=mimicbrush
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
cd "${SLURM_SUBMIT_DIR:?submit with sbatch from the project's root}" || exit 2
srun .venv/bin/python train.py --run.num_nodes "$SLURM_JOB_NUM_NODES" --run.devices "$SLURM_NTASKS_PER_NODE" \
    "${@:---config=configs/train/mimicbrush.yaml}"
