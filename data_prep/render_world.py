"""Render the small world: captioned stills and clips, and evaluation sets whose true results are known, offline."""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/render_world.py",
    config="data_prep.world.config.RenderWorldConfig",
    run="data_prep.world.write_world.write_world",
    examples=(
        "python data_prep/render_world.py --output runs/world",
        "python data_prep/render_world.py --output runs/small_world --size 32 --stills 20 --clips 2",
    ),
    ordinary=("output", "size", "stills", "clips", "workers"),
)

if __name__ == "__main__":
    run_command(COMMAND)
