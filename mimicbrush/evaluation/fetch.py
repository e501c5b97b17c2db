"""Download the weights that metrics need: `python -m mimicbrush.evaluation.fetch --models '[dino, alexnet]'`."""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.evaluation.fetch"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.evaluation.config.FetchConfig",
    run="mimicbrush.evaluation.fetch_weights.fetch_weights",
    examples=(PROGRAM, f"{PROGRAM} --models '[dino, alexnet]'"),
    ordinary=("models",),
)

if __name__ == "__main__":
    run_command(COMMAND)
