"""Train a small Stable unCLIP on captioned renders, and measure its samples on held-out combinations.

python -m mimicbrush.world.unclip --output runs/unclip
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.world.unclip"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.world.unclip.config.UnclipTrainingConfig",
    run="mimicbrush.world.unclip.unclip_training.train_unclip",
    examples=(
        f"{PROGRAM} --output runs/unclip",
        f"{PROGRAM} --output runs/unclip2 --start runs/unclip",
        f"{PROGRAM} --output runs/short --max_steps 200 --num_samples 2000 --num_heldout 20",
    ),
    ordinary=("output", "start", "max_steps", "num_samples", "num_heldout", "seed"),
)

if __name__ == "__main__":
    run_command(COMMAND)
