"""Train the variants of one run, to measure the effect of each part of the method.

python -m mimicbrush.training.ablations --config configs/train/ablations/small.yaml
"""

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python -m mimicbrush.training.ablations",
    config="mimicbrush.training.ablations.config.AblationsConfig",
    check="mimicbrush.training.preconditions.check_ablations",
    run="mimicbrush.training.ablations.variants.train_variants",
    examples=(
        "python -m mimicbrush.training.ablations --config configs/train/ablations/small.yaml",
        "python -m mimicbrush.training.ablations --config configs/train/ablations/small.yaml --only full,frozen",
    ),
    ordinary=("config", "only", "output", "run.max_steps"),
)

if __name__ == "__main__":
    run_command(COMMAND)
