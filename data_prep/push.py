"""Upload a folder of shards to the Hugging Face hub, with a card: contents, licences, settings, limits."""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/push.py",
    config="data_prep.config.ShardPushConfig",
    check="data_prep.inputs.input_files.check_push",
    run="data_prep.sharding.push_shards.push_shards",
    examples=(
        "python data_prep/push.py runs/own/shards/pairs --repo_id me/mugs --licence cc-by-4.0",
        "python data_prep/push.py runs/own/shards/pairs --repo_id me/mugs --licence other --private true",
    ),
    ordinary=("folder", "repo_id", "licence", "private"),
    positional=("folder",),
    then="run the same command again",
)

if __name__ == "__main__":
    run_command(COMMAND)
