"""List the samples of finished shards that training leaves out: repeated, replaced and deleted inputs.

Shards are never rewritten. The list, `excluded.json`, is made anew whenever a folder is merged, except for reasons that
a user has added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from data_prep.records.duplicates import find_near_duplicates
from data_prep.records.work_units import KEPT, edition_of, keys_by_input, merge_inputs
from mimicbrush.data.shard_index import ShardIndex
from mimicbrush.work_share import WorkShare

REPEATS, CHANGED, GONE = "near_duplicate", "changed", "gone"
"""Reasons in excluded.json: clips that repeat another; samples of inputs that were replaced since; deleted inputs."""


def list_exclusions(
    indexes: Sequence[ShardIndex], others: Mapping[str, dict], *, min_share: float, gone: Collection[str]
) -> dict[str, dict]:
    """Content of excluded.json, {reason: {input: {keys, ...}}}.

    others: its present content, of which a user's own reasons are kept; min_share: as in `find_near_duplicates`; gone:
    names of inputs that were deleted.
    """
    records = merge_inputs(indexes)
    current, replaced = defaultdict(list), defaultdict(list)
    for index in indexes:
        for name, keys in keys_by_input(index):
            is_current = edition_of(index.inputs[name]) == edition_of(records[name])
            (current if is_current or name in gone else replaced)[name] += keys
    kept = {name: record for name, record in records.items() if record["status"] == KEPT and name not in gone}
    exclusions = {
        CHANGED: {name: {"keys": keys} for name, keys in sorted(replaced.items()) if keys},
        GONE: {name: {"keys": current[name]} for name in sorted(gone) if current[name]},
    }
    return {
        **{reason: inputs for reason, inputs in others.items() if reason not in (CHANGED, GONE)},
        REPEATS: _near_duplicates(kept, current, min_share),
        **{reason: inputs for reason, inputs in exclusions.items() if inputs},
    }


def _near_duplicates(kept: Mapping[str, dict], keys: Mapping[str, list[str]], min_share: float) -> dict[str, dict]:
    """Clips that repeat another, as {name: {of, share, keys}}; of two clips, the one with more pixels is kept."""
    hashed = {name: record for name, record in kept.items() if record.get("hashes")}
    order = sorted(hashed, key=lambda name: (-hashed[name]["video_size"][0] * hashed[name]["video_size"][1], name))
    found = find_near_duplicates({name: hashed[name]["hashes"] for name in order}, min_share)
    return {name: {**found[name]._asdict(), "keys": keys[name]} for name in sorted(found)}


def find_gone(entries: Iterable[dict]) -> set[str]:
    """Names of inputs that the latest command responsible for them did not find.

    entries: those of the folder's log, in order; each names the inputs of its share that had been deleted.
    """
    gone: set[str] = set()
    for entry in entries:
        share = WorkShare(task=entry["task"], num_tasks=entry["num_tasks"])
        gone = gone.difference(share.by_name(gone)).union(entry.get("gone", ()))
    return gone
