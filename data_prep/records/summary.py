"""Summarise a folder of shards: counts by reason, histograms, speed."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from data_prep.inputs.input_files import describe_passed_over
from data_prep.records.exclusions import CHANGED, GONE, REPEATS
from data_prep.records.reasons import describe_counts, explain
from data_prep.records.source_facts import summarise_sources
from data_prep.records.work_units import KEPT, merge_inputs
from mimicbrush.data.shard_index import ShardIndex
from mimicbrush.errors import spaced
from mimicbrush.files import installed_versions

BAND_BIN = 0.05
"""Width of a bin of similarity."""
GAP_BIN = 0.5
"""Width of a bin of distances in time, in seconds."""
MOTION_BIN = 0.005
"""Width of a bin of motion, as a share of the picture's width and height."""
EXCLUSION_CODES = {REPEATS: "near_duplicate_clip"}
"""Codes of reasons in excluded.json whose names there are also names of reasons to drop a frame."""
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
    excluded: Mapping[str, Mapping[str, dict]],
    gone: Collection[str] = (),
) -> dict:
    """Summarise what the shards contain, and what was left out for which reason.

    excluded: content of excluded.json, {reason: {input: {keys, ...}}}; of a near-duplicate, `of` is the clip that it
    repeats. efforts: the log's entries, one for each command that worked on the folder. gone: inputs that were deleted
    since, which no longer count.
    """
    records = {name: record for name, record in merge_inputs(indexes).items() if name not in gone}
    skipped: dict[str, dict[str, str]] = defaultdict(dict)
    for name, record in records.items():
        if record["status"] != KEPT:
            skipped[record["status"]][name] = record["detail"]
    left_out = _excluded_inputs(records, excluded)
    kept = {name: each for name, each in records.items() if each["status"] == KEPT and name not in left_out}
    used = list(kept.values())
    codes = Counter(left_out.values())
    excluded_keys = {key for inputs in excluded.values() for found in inputs.values() for key in found["keys"]}
    return {
        "noun": noun,
        "inputs": len(records),
        "kept": len(used),
        "pairs": sum(key not in excluded_keys for index in indexes for key in index.keys),
        "stored_pairs": sum(index.pairs for index in indexes),
        "vouched_pairs": sum(record.get("vouched", 0) for record in records.values()),
        "shards": sum(index.pairs > 0 for index in indexes),
        "bytes": sum(index.bytes for index in indexes),
        "skipped": {reason: skipped[reason] for reason in sorted(skipped, key=lambda word: -len(skipped[word]))},
        "excluded": dict(codes),
        "near_duplicates": {name: found.get("of", "?") for name, found in excluded.get(REPEATS, {}).items()},
        "changed": sorted(excluded.get(CHANGED, {})),
        "gone": sorted(gone),
        "passed_over": efforts[-1].get("passed_over", {}) if efforts else {},
        "words": {code: explain(code).words for code in (*skipped, *codes)},
        "dropped_frames": _total(records.values(), "dropped_frames"),
        "dropped_pairs": _total(records.values(), "dropped_pairs"),
        "dropped_masks": _total(records.values(), "dropped_masks"),
        "band": band,
        "candidates": _total(records.values(), "candidates"),
        "similarity": _total(used, "similarity"),
        "gap": _total(used, "gap"),
        "motion": _total(used, "motion"),
        "sizes": _count(f"{r['video_size'][0]} x {r['video_size'][1]}" for r in used if "video_size" in r),
        "decoders": _count(record["decoder"] for record in records.values() if "decoder" in record),
        "codecs": _count(record["codec"] for record in records.values() if "codec" in record),
        "effort": _sum_efforts(efforts),
        **({"sources": summarise_sources(kept)} if noun == "sources" else {}),
        "versions": {"python": platform.python_version(), **installed_versions(PACKAGES)},
    }


def describe(summary: dict) -> str:
    """A summary in one line: `kept 9 806 of 10 000 videos, 41 233 of 41 257 pairs; 188 skipped: too short (120), ...`.

    The inputs that were kept, skipped and excluded add up to all inputs. Summaries of earlier versions are
    described too.
    """
    counts = {
        "skipped": {reason: len(names) for reason, names in summary["skipped"].items()},
        "excluded": count_exclusions(summary),
    }
    clauses = [
        f"kept {spaced(summary['kept'])} of {spaced(summary['inputs'])} {summary['noun']}, {count_pairs(summary)}"
    ]
    clauses += [f"{spaced(sum(by.values()))} {word}: {describe_counts(by)}" for word, by in counts.items() if by]
    since = {word: len(summary.get(word, ())) for word in ("changed", "gone")}
    if any(since.values()):
        clauses.append(", ".join(f"{spaced(num)} {word}" for word, num in since.items() if num))
    if passed_over := summary.get("passed_over"):
        clauses.append(f"passed over: {describe_passed_over(passed_over)}")
    return "; ".join(clauses)


def count_exclusions(summary: Mapping) -> Mapping[str, int]:
    """Numbers of inputs that were kept and then excluded, by code; summaries of earlier versions only name repeats."""
    repeats = {EXCLUSION_CODES[REPEATS]: len(summary["near_duplicates"])} if summary["near_duplicates"] else {}
    return summary.get("excluded", repeats)


def count_pairs(summary: dict) -> str:
    """`236 of 308 pairs`, or `308 pairs` if none is excluded."""
    pairs, stored = summary["pairs"], summary.get("stored_pairs", summary["pairs"])
    noun = name_samples(summary["noun"])
    return f"{spaced(pairs)} of {spaced(stored)} {noun}" if pairs != stored else f"{spaced(pairs)} {noun}"


def name_samples(inputs: str) -> str:
    """The word for what is made of `videos` or `stills`: a still and its pseudo-pair are two samples."""
    return "samples" if inputs == "stills" else "pairs"


def _excluded_inputs(records: Mapping[str, dict], excluded: Mapping[str, Mapping[str, dict]]) -> dict[str, str]:
    """Inputs that were kept and whose pairs are all excluded, with the code of the reason."""
    return {
        name: EXCLUSION_CODES.get(reason, reason)
        for reason, inputs in excluded.items()
        if reason not in (CHANGED, GONE)
        for name, found in inputs.items()
        if len(found["keys"]) >= records.get(name, {}).get("pairs", 1)
    }


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
