"""Read and check the summary of a folder of shards, or make one if there is none, as in folders of earlier versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import UnionType

import yaml

from data_prep.inputs.input_files import NOUNS
from data_prep.records.summary import summarise
from data_prep.records.work_units import list_finished
from mimicbrush.data.shard_index import EXCLUDED_NAME, ShardIndex, index_path, read_index, require_shards
from mimicbrush.errors import UserError
from mimicbrush.files import read_object
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

SUMMARY_NAME = "summary.json"
NUMBERS = ("inputs", "kept", "pairs", "shards", "bytes")
HISTOGRAMS = ("candidates", "similarity", "gap", "motion")
TALLIES = ("dropped_frames", "dropped_pairs", "sizes", "decoders", "codecs")
WORDS = ("near_duplicates", "versions")
LATER_COUNTS, LATER_NAMES = ("excluded", "passed_over", "dropped_masks"), ("changed", "gone")
"""Counts, and lists of names, that summaries of earlier versions lack."""


def list_all_shards(folder: Path) -> list[Path]:
    """Paths of the shards that have an index or a tar, in order; a shard without pairs has no tar."""
    finished = list_finished(folder)
    if finished and not any(folder.glob("[!.]*.tar")):
        return finished
    return sorted({*finished, *require_shards(folder)})


def load_summary(folder: Path, shards: Sequence[Path]) -> dict:
    """The folder's summary.json, or a summary of the shards' indexes if there is none."""
    path = folder / SUMMARY_NAME
    if path.is_file():
        return _read_summary(path)
    prefix = shards[0].name
    excluded = folder / EXCLUDED_NAME
    return summarise(
        [read_sound_index(shard) for shard in shards],
        noun=next((noun for noun in NOUNS.values() if prefix.startswith(noun)), "inputs"),
        band=_read_band(folder / CONFIG_NAME),
        efforts=[],
        excluded=read_object(excluded) if excluded.is_file() else {},
    )


def _read_summary(path: Path) -> dict:
    summary = read_object(path, "noun", "skipped", "band", "effort", *NUMBERS, *HISTOGRAMS, *TALLIES, *WORDS)
    effort = summary["effort"]
    is_sound = (
        all(isinstance(summary[name], int) for name in NUMBERS)
        and all(_maps(summary[name], int) for name in (*HISTOGRAMS, *TALLIES))
        and all(count > 0 for name in HISTOGRAMS for count in summary[name].values())
        and all(re.fullmatch(r"-?\d+(\.\d+)?", start) for name in HISTOGRAMS for start in summary[name])
        and all(_maps(summary[name], str) for name in WORDS)
        and _maps(summary["skipped"], dict)
        and all(_maps(names, str) for names in summary["skipped"].values())
        and isinstance(summary["band"], list | None)
        and [isinstance(edge, int | float) for edge in summary["band"] or (0, 0)] == [True, True]
        and isinstance(effort, dict)
        and all(isinstance(effort.get(name), int | float) for name in ("inputs", "pairs", "wall_seconds"))
        and _maps(effort.get("cpu_seconds"), int | float)
        and all(_maps(summary.get(name, {}), int) for name in LATER_COUNTS)
        and all(isinstance(summary.get(name, []), list) for name in LATER_NAMES)
    )
    if not is_sound:
        raise UserError(f"{path}: damaged, or another command's; delete it and run python data_prep/merge.py again")
    return summary


def _maps(content: object, kind: type | UnionType) -> bool:
    return isinstance(content, dict) and all(isinstance(value, kind) for value in content.values())


def _read_band(config: Path) -> tuple[float, float] | None:
    """The similarity band in the folder's config.yaml; None if it has none."""
    try:
        pairs = parse_yaml(config.read_text(encoding="utf-8"))["pairs"]
        return float(pairs["ssim_low"]), float(pairs["ssim_high"])
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None


def read_sound_index(shard: Path) -> ShardIndex:
    """The index of a shard; raises UserError if what a report shows of it is damaged."""
    index = read_index(shard)
    is_sound = (
        _maps(index.inputs, dict)
        and all({"status", "detail"} <= record.keys() for record in index.inputs.values())
        and all(_maps(one, str) and {"reason", "name", "picture"} <= one.keys() for one in index.examples)
    )
    if not is_sound:
        raise UserError(f"{index_path(shard)}: inputs or examples are damaged; shard the data anew")
    return index
