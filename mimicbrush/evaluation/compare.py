"""Compare two evaluations: `python -m mimicbrush.evaluation.compare RUN_A RUN_B`.

Each run is an output folder of evaluate.py; to compare two editors of one run, give the same folder twice.
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.evaluation.compare"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.evaluation.config.CompareConfig",
    check="mimicbrush.evaluation.preconditions.check_comparison",
    run="mimicbrush.evaluation.compare_runs.run_comparison",
    examples=(
        f"{PROGRAM} runs/first runs/second",
        f"{PROGRAM} runs/eval runs/eval --editor_a baseline --editor_b ours",
    ),
    ordinary=("run_a", "run_b", "editor_a", "editor_b", "output"),
    positional=("run_a", "run_b"),
    then="run the same command again",
)

if __name__ == "__main__":
    run_command(COMMAND)
