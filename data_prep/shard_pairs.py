"""Make training shards from your own photographs: pairs of a source and a reference, masks, and a report.

The same command resumes after an interruption, and processes photographs that were added.
"""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/shard_pairs.py",
    config="data_prep.config.PhotographShardConfig",
    check="data_prep.inputs.photograph_files.check_photographs",
    run="data_prep.photographs.source_to_pairs.shard_photographs",
    examples=(
        "python data_prep/shard_pairs.py --photographs photos --output runs/own/shards/pairs",
        "python data_prep/shard_pairs.py --photographs pairs.csv --output runs/own/shards/pairs",
    ),
    ordinary=("photographs", "output", "metadata", "masks.method", "masks.regions", "short_side", "work.workers"),
)

if __name__ == "__main__":
    run_command(COMMAND)
