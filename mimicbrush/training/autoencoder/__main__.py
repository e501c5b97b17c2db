"""Train a small autoencoder on pictures in shards, and write it in diffusers' layout in half precision.

python -m mimicbrush.training.autoencoder --config configs/train/autoencoder.yaml
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.training.autoencoder"
CONFIG = f"{PROGRAM} --config configs/train/autoencoder.yaml"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.training.autoencoder.config.AutoencoderConfig",
    check="mimicbrush.training.preconditions.check_autoencoder",
    run="mimicbrush.training.autoencoder.training.train_autoencoder",
    examples=(
        f"{CONFIG} --output runs/autoencoder",
        f"{CONFIG} --output runs/longer --start runs/autoencoder",
    ),
    ordinary=("config", "output", "max_steps"),
)

if __name__ == "__main__":
    run_command(COMMAND)
