"""Make training shards from videos: frame pairs of limited similarity, matched keypoints, and a report.

The same command resumes after an interruption, and processes clips that were added.
"""

import sys
from pathlib import Path

if not __package__:  # run as a script: its own folder comes first on the path, the packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from mimicbrush.command import Command, run_command

COMMAND = Command(
    program="python data_prep/shard_videos.py",
    config="data_prep.config.VideoShardConfig",
    check="data_prep.inputs.clip_files.check_videos",
    run="data_prep.clips.clip_to_pairs.shard_videos",
    examples=(
        "python data_prep/shard_videos.py --videos clips --output runs/shards/videos",
        "python data_prep/shard_videos.py --videos clips --metadata clips.csv --output runs/shards/videos",
    ),
    ordinary=("videos", "output", "metadata", "short_side", "work.workers"),
    default=Path(__file__).resolve().parents[1] / "configs/data/videos.yaml",
)

if __name__ == "__main__":
    run_command(COMMAND)
