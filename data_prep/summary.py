"""The account that a sharding command gives: counts by reason, similarity, speed."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from data_prep.run import KEPT, merge_inputs, read_indexes
from mimicbrush.errors import UserError
from mimicbrush.files import installed_versions, write_json

BIN_WIDTH = 0.05
PACKAGES = ("mimicbrush", "av", "decord", "opencv-python-headless", "numpy", "webdataset")


def histogram(values: Iterable[float]) -> dict[str, int]:
    """Counts by bins of 0.05, each named by its lower edge; empty bins are left out."""
    counts = Counter(int(value // BIN_WIDTH) for value in values)
    return {f"{number * BIN_WIDTH:.2f}": counts[number] for number in sorted(counts)}


def summarise(
    output: Path, *, noun: str, inputs: Iterable[str], band: tuple[float, float] | None, new: int, seconds: float
) -> dict:
    """Gather the finished shards' indexes into `summary.json` and return it.

    inputs: what the command was given; new: inputs done by this command, in `seconds`.
    """
    indexes = read_indexes(output)
    records = merge_inputs(indexes)
    done = {name: records[name] for name in inputs if name in records}
    skipped: dict[str, dict[str, str]] = defaultdict(dict)
    for name, record in done.items():
        if record["status"] != KEPT:
            skipped[record["status"]][name] = record["detail"]
    kept = {name: record for name, record in done.items() if record["status"] == KEPT}
    summary = {
        "noun": noun,
        "inputs": len(done),
        "kept": len(kept),
        "pairs": sum(record["pairs"] for record in kept.values()),
        "shards": sum(index.pairs > 0 for index in indexes),
        "skipped": {reason: skipped[reason] for reason in sorted(skipped, key=lambda word: -len(skipped[word]))},
        "dropped_frames": _total(record.get("dropped", {}) for record in done.values()),
        "band": band,
        "similarity": _total(record.get("similarity", {}) for record in kept.values()),
        "candidates": _total(record.get("candidates", {}) for record in done.values()),
        "decoders": dict(Counter(record["decoder"] for record in kept.values() if "decoder" in record)),
        "done_now": new,
        "seconds": round(seconds, 2),
        "inputs_per_second": round(new / seconds, 2) if seconds else None,
        "versions": {"python": platform.python_version(), **installed_versions(PACKAGES)},
    }
    write_json(summary, output / "summary.json")
    return summary


def final_line(summary: dict, output: Path) -> str:
    """`kept 9 812 of 10 000 videos, 41 233 pairs; 188 skipped: 120 too_short, ... -> OUTPUT`.

    Raises UserError with the same words where no input gave a pair.
    """
    reasons = ", ".join(f"{_count(len(names))} {reason}" for reason, names in summary["skipped"].items())
    skipped = f"; {_count(summary['inputs'] - summary['kept'])} skipped: {reasons}" if reasons else ""
    line = (
        f"kept {_count(summary['kept'])} of {_count(summary['inputs'])} {summary['noun']}, "
        f"{_count(summary['pairs'])} pairs{skipped} -> {output}"
    )
    if not summary["pairs"]:
        raise UserError(f"nothing to train on: {line}; {output / 'summary.json'} names every reason")
    return line


def _total(histograms: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in histograms:
        total.update(counts)
    return {name: total[name] for name in sorted(total, key=_order)}


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return 0.0, name


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")
