"""Write one index, exclusion list, summary and report for all shards of a folder, as after a Slurm array."""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/merge.py",
    config="data_prep.config.MergeConfig",
    check="data_prep.inputs.input_files.check_merge",
    run="data_prep.sharding.merge_folder.merge_folder",
    examples=(
        "python data_prep/merge.py runs/shards/videos",
        "python data_prep/merge.py s3://bucket/shards/videos",
        "sbatch --dependency=afterok:NUMBER slurm/merge.sh runs/shards/videos",
    ),
    ordinary=("folder",),
    positional=("folder",),
)

if __name__ == "__main__":
    run_command(COMMAND)
