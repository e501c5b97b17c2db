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
        f"{CONFIG} --output runs/autoencoder --shards '[data/shards/videos]' --heldout data/shards/heldout",
        f"{CONFIG} --output runs/longer --shards '[data/shards/videos]' --heldout data/shards/heldout"
        " --start runs/autoencoder",
    ),
    ordinary=("config", "output", "shards", "heldout", "max_steps"),
    then="run the same command again, which starts from the beginning",
)

if __name__ == "__main__":
    run_command(COMMAND)
