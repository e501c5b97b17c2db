"""Train the judge of the small world, and measure it on held-out renders.

python -m mimicbrush.world.judge --output runs/judge
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.world.judge"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.world.judge.config.JudgeConfig",
    run="mimicbrush.world.judge.judge_training.train_judge",
    examples=(f"{PROGRAM} --output runs/judge", f"{PROGRAM} --output runs/short --max_steps 200 --num_samples 2000"),
    ordinary=("output", "max_steps", "num_samples", "seed"),
)

if __name__ == "__main__":
    run_command(COMMAND)
