"""Summarise a folder of shards: counts by reason, histograms, speed."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from data_prep.work_units import KEPT, merge_inputs
from mimicbrush.data.shard_index import ShardIndex
from mimicbrush.errors import describe_reasons, spaced
from mimicbrush.files import installed_versions

BAND_BIN = 0.05
"""Width of a bin of similarity."""
GAP_BIN = 0.5
"""Width of a bin of distances in time, in seconds."""
MOTION_BIN = 0.005
"""Width of a bin of motion, as a share of the picture's width and height."""
PACKAGES = ("mimicbrush", "av", "decord", "opencv-python-headless", "numpy", "webdataset")


def histogram(values: Iterable[float], width: float) -> dict[str, int]:
    """Count values by bins of a width, each named by its lower edge; empty bins are left out."""
    counts = Counter(int(value // width) for value in values)
    return {f"{number * width:.3f}": counts[number] for number in sorted(counts)}


def summarise(
    indexes: Sequence[ShardIndex],
    *,
    noun: str,
    band: tuple[float, float] | None,
    efforts: Sequence[dict],
    near_duplicates: Mapping[str, dict],
) -> dict:
    """Summarise what the shards contain, and what was left out for which reason.

    near_duplicates: excluded inputs, with the clip that each repeats and its keys. efforts: one for each command that
    worked on the folder.
    """
    records = merge_inputs(indexes)
    kept = {name: record for name, record in records.items() if record["status"] == KEPT}
    skipped: dict[str, dict[str, str]] = defaultdict(dict)
    for name, record in records.items():
        if record["status"] != KEPT:
            skipped[record["status"]][name] = record["detail"]
    used = [record for name, record in kept.items() if name not in near_duplicates]
    num_excluded = sum(len(found["keys"]) for found in near_duplicates.values())
    return {
        "noun": noun,
        "inputs": len(records),
        "kept": len(used),
        "pairs": sum(index.pairs for index in indexes) - num_excluded,
        "shards": sum(index.pairs > 0 for index in indexes),
        "bytes": sum(index.bytes for index in indexes),
        "skipped": {reason: skipped[reason] for reason in sorted(skipped, key=lambda word: -len(skipped[word]))},
        "near_duplicates": {name: found["of"] for name, found in near_duplicates.items()},
        "dropped_frames": _total(records.values(), "dropped_frames"),
        "dropped_pairs": _total(records.values(), "dropped_pairs"),
        "band": band,
        "candidates": _total(records.values(), "candidates"),
        "similarity": _total(used, "similarity"),
        "gap": _total(used, "gap"),
        "motion": _total(used, "motion"),
        "sizes": _count(f"{r['video_size'][0]} x {r['video_size'][1]}" for r in used if "video_size" in r),
        "decoders": _count(record["decoder"] for record in records.values() if "decoder" in record),
        "codecs": _count(record["codec"] for record in records.values() if "codec" in record),
        "effort": _sum_efforts(efforts),
        "versions": {"python": platform.python_version(), **installed_versions(PACKAGES)},
    }


def describe(summary: dict) -> str:
    """A summary in one line: `kept 9 812 of 10 000 videos, 41 233 pairs; 188 skipped: 120 too_short, ...`."""
    reasons = {reason: len(names) for reason, names in summary["skipped"].items()}
    if summary["near_duplicates"]:
        reasons["near_duplicate_clip"] = len(summary["near_duplicates"])
    skipped = f"; {spaced(sum(reasons.values()))} skipped: {describe_reasons(reasons)}" if reasons else ""
    inputs = f"{spaced(summary['kept'])} of {spaced(summary['inputs'])} {summary['noun']}"
    return f"kept {inputs}, {spaced(summary['pairs'])} pairs{skipped}"


def _sum_efforts(efforts: Sequence[dict]) -> dict:
    stages: Counter[str] = Counter()
    for effort in efforts:
        stages.update(effort["cpu_seconds"])
    return {
        "inputs": sum(effort["done"] for effort in efforts),
        "pairs": sum(effort["pairs"] for effort in efforts),
        "wall_seconds": round(sum(effort["wall_seconds"] for effort in efforts), 2),
        "cpu_seconds": {stage: round(seconds, 3) for stage, seconds in stages.items()},
    }


def _total(records: Iterable[dict], name: str) -> dict[str, int]:
    """The sum of the records' histograms of one name, in order of the bins."""
    total: Counter[str] = Counter()
    for record in records:
        total.update(record.get(name, {}))
    return {bin_name: total[bin_name] for bin_name in sorted(total, key=_order)}


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return 0.0, name
