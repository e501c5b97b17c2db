"""Licences of the samples in shards, as their origins state them."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mimicbrush.data.shard_index import read_excluded
from mimicbrush.errors import UserError

UNSTATED = "not stated"


def count_licences(shards: Iterable[Path]) -> dict[str, int]:
    """Count the samples of shards of one folder, without excluded ones, by licence, the most frequent first.

    Only headers and JSON are read. Raises UserError if a shard is damaged.
    """
    shards = list(shards)
    excluded, counts = read_excluded(shards), Counter()
    for shard in shards:
        try:
            with tarfile.open(shard) as tar:
                for member in tar:
                    key, _, suffix = member.name.partition(".")
                    if suffix == "json" and key not in excluded:
                        origin = json.load(tar.extractfile(member))["origin"]
                        counts[str(origin.get("licence") or UNSTATED)] += 1
        except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{shard}: damaged ({error}); delete it and its index, and shard again") from None
    return dict(counts.most_common())
