"""Write report.html for a folder of shards: statistics, skipped inputs and example pictures."""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/report.py",
    config="data_prep.config.ReportConfig",
    check="data_prep.inputs.input_files.check_report",
    run="data_prep.shard_report.report_page.report_folder",
    examples=("python data_prep/report.py runs/shards/videos", "python data_prep/report.py runs/shards/stills"),
    ordinary=("folder",),
    positional=("folder",),
    then="run the same command again",
)

if __name__ == "__main__":
    run_command(COMMAND)
