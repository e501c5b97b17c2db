"""Render the clips, stills and small benchmark of the demo from scikit-image's photographs, offline."""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/render_demo.py",
    config="data_prep.demo.config.RenderDemoConfig",
    run="data_prep.demo.rendering.render_demo",
    examples=(
        "python data_prep/render_demo.py --output runs/demo",
        "python data_prep/render_demo.py --output runs/small --size 128 --train_clips 2 --stills 2 --triplets 2",
    ),
    ordinary=("output", "size", "workers"),
)

if __name__ == "__main__":
    run_command(COMMAND)
