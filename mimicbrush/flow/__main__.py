"""Estimate the optical flow between two pictures.

python -m mimicbrush.flow --first a.png --second b.png --output f.npy
"""

from mimicbrush.command import Command, run_command

PROGRAM = "python -m mimicbrush.flow"
COMMAND = Command(
    program=PROGRAM,
    config="mimicbrush.flow.config.TwoPicturesConfig",
    check="mimicbrush.flow.config.check_pair_files",
    run="mimicbrush.flow.flow_of_pictures.write_flow_of_pictures",
    examples=(
        f"{PROGRAM} --first a.png --second b.png --output f.npy",
        f"{PROGRAM} --first a.png --second b.png --output f.flo --weights raft-things.pth",
    ),
    ordinary=("first", "second", "output", "weights"),
    then="run the same command again",
)

if __name__ == "__main__":
    run_command(COMMAND)
