"""The log of a folder of shards: a line for each command that has worked on it and finished."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

LOG_NAME = "log.jsonl"


def read_log(output: Path) -> list[dict]:
    """The log's complete lines; a command that was killed may leave a part of one."""
    path = output / LOG_NAME
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            entries.append(json.loads(line))
    return entries
