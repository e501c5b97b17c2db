"""Measure the kept checkpoints of training runs by held-out edits of the small world, and chart them over steps.

python -m mimicbrush.world.edit_progress --output runs/mimicbrush_world/progress
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.world.edit_progress"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.world.edit_progress.config.EditProgressConfig",
    run="mimicbrush.world.edit_progress.measure_runs.measure_runs",
    examples=(
        f"{PROGRAM} --output runs/mimicbrush_world/progress",
        f"{PROGRAM} --output runs/progress --runs '[runs/own/train]' --num_sources 8",
    ),
    ordinary=("output", "runs", "num_sources"),
)

if __name__ == "__main__":
    run_command(COMMAND)
