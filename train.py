"""Train a MimicBrush network on shards: `python train.py --config configs/train/tiny.yaml`.

The options are in mimicbrush/training/config.py, checks before torch is imported in preconditions.py, and the run
itself in command.py.
"""

from pathlib import Path

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python train.py",
    config="mimicbrush.training.config.TrainConfig",
    check="mimicbrush.training.preconditions.check_training",
    announce="mimicbrush.training.preconditions.announce_training",
    run="mimicbrush.training.command.train",
    default=Path(__file__).parent / "configs" / "train" / "tiny.yaml",
    examples=(
        "python train.py --config configs/train/tiny.yaml",
        "python train.py --config configs/train/mimicbrush.yaml --output runs/mimicbrush --check",
    ),
    ordinary=("config", "output", "check", "run.max_steps", "data.batch_size", "data.num_workers", "network.weights"),
)

if __name__ == "__main__":
    run_command(COMMAND)
