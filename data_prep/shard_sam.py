"""Make training shards from stills with object masks (SA-1B): stills, pseudo-pairs, and a report.

The same command resumes after an interruption, and processes stills that were added.
"""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/shard_sam.py",
    config="data_prep.config.SamShardConfig",
    check="data_prep.inputs.still_files.check_stills",
    run="data_prep.stills.still_to_pairs.shard_sam",
    examples=(
        "python data_prep/shard_sam.py --stills data/sa1b --output runs/shards/stills",
        "python data_prep/shard_sam.py --stills data/sa1b/sa_000000.tar --output runs/shards/first",
    ),
    ordinary=("stills", "output", "metadata", "short_side", "work.workers"),
    default=Path(__file__).resolve().parents[1] / "configs/data/sam.yaml",
)

if __name__ == "__main__":
    run_command(COMMAND)
