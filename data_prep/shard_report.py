"""Write a page on a folder of shards: counts and reasons, histograms, pairs, a training batch, rejected examples."""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import NamedTuple

import yaml

from data_prep.config import ShardFolderConfig
from data_prep.report_histograms import histogram_section
from data_prep.report_pictures import (
    choose_extremes,
    choose_over_band,
    list_samples,
    pair_sheet,
    spread,
    training_view,
)
from data_prep.summary import describe, summarise
from mimicbrush.data.shard_index import EXCLUDED_NAME, ShardIndex, index_path, list_shards, read_excluded, read_index
from mimicbrush.errors import UserError, spaced
from mimicbrush.files import read_object, write_text
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import decode_rgb
from mimicbrush.reports.html_page import folded, heading, page, paragraph, table
from mimicbrush.reports.html_pictures import figure, strip
from mimicbrush.reports.number_format import format_bytes
from mimicbrush.reports.svg_chart import stacked_bar
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

SUMMARY_NAME = "summary.json"
NUM_SHOWN = 24
"""Number of pairs and stills shown, from the least to the most similar."""
NUM_EXTREMES = 10
"""Number of most similar pairs shown, and of least similar ones."""
NUM_TRAINING = 8
"""Number of samples shown as a training batch."""
NUM_EXAMPLES = 4
"""Number of rejected examples shown for each reason."""
NUM_NAMED = 20
"""Number of skipped inputs named for each reason."""
NUM_ROWS = 12
"""Number of rows of a table of sizes, codecs or decoders."""
PAIR_HEIGHT = 132
SMALL_HEIGHT = 96
NUMBERS = ("inputs", "kept", "pairs", "shards", "bytes")
HISTOGRAMS = ("candidates", "similarity", "gap", "motion")
TALLIES = ("dropped_frames", "dropped_pairs", "sizes", "decoders", "codecs")
WORDS = ("near_duplicates", "versions")


class Scan(NamedTuple):
    """Facts in the indexes that the summary does not contain."""

    stored: int
    """Number of samples that are not excluded."""
    examples: dict[str, list[dict[str, str]]]
    """Up to NUM_EXAMPLES examples for each reason, each with reason, name and picture."""


def write_report(folder: Path) -> Path:
    """Write `report.html` into a folder of shards, with or without a summary.json.

    Raises UserError if there is neither shard nor index, or one is damaged.
    """
    indexes = _list_indexes(folder)
    shards = [path for path in indexes if path.is_file()]
    summary = _summarise(folder, indexes)
    scan = _scan(indexes)
    sections = [
        *_headline(summary, scan, folder),
        heading("Left out"),
        *_reasons(summary),
        heading("Similarity, time and motion"),
        *histogram_section(summary),
        heading("Clips and speed" if summary["codecs"] else "Sizes and speed"),
        *_tables(summary),
        *_pictures(shards, scan),
        heading("Rejected"),
        *_examples(scan),
        heading("Run"),
        table(("part", "version"), sorted(summary["versions"].items())),
    ]
    report = folder / "report.html"
    write_text(page(f"Shards in {folder.resolve().name}", sections), report)
    return report


def _list_indexes(folder: Path) -> list[Path]:
    """Paths of the shards that have an index, in order; a shard without pairs has no tar."""
    numbered = {path.with_suffix(".tar") for path in folder.glob("[!.]*-[0-9][0-9][0-9][0-9][0-9][0-9].json")}
    if numbered and not any(folder.glob("[!.]*.tar")):
        return sorted(numbered)
    return sorted(numbered.union(list_shards(folder)))


def _summarise(folder: Path, shards: Sequence[Path]) -> dict:
    """Read the folder's summary.json, or summarise the indexes if there is none."""
    path = folder / SUMMARY_NAME
    if path.is_file():
        return _read_summary(path)
    indexes = [_read_index(shard) for shard in shards]
    prefix = shards[0].name
    excluded = read_object(folder / EXCLUDED_NAME) if (folder / EXCLUDED_NAME).is_file() else {}
    return summarise(
        indexes,
        noun=next((noun for noun in ("videos", "stills") if prefix.startswith(noun)), "inputs"),
        band=_read_band(folder / CONFIG_NAME),
        efforts=[],
        excluded=excluded,
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


def _read_index(shard: Path) -> ShardIndex:
    index = read_index(shard)
    is_sound = (
        _maps(index.inputs, dict)
        and all({"status", "detail"} <= record.keys() for record in index.inputs.values())
        and all(_maps(one, str) and {"reason", "name", "picture"} <= one.keys() for one in index.examples)
    )
    if not is_sound:
        raise UserError(f"{index_path(shard)}: inputs or examples are damaged; shard the data anew")
    return index


def _scan(shards: Sequence[Path]) -> Scan:
    excluded = read_excluded(shards)
    stored, examples = 0, defaultdict(list)
    for index in map(_read_index, shards):
        stored += sum(key not in excluded for key in index.keys)
        for example in index.examples:
            if len(examples[example["reason"]]) < NUM_EXAMPLES:
                examples[example["reason"]].append(example)
    return Scan(stored, dict(examples))


def _headline(summary: dict, scan: Scan, folder: Path) -> list[str]:
    account = describe(summary) if summary["inputs"] else f"{spaced(summary['pairs'])} pairs of unnamed inputs"
    size = (
        f"{format_bytes(summary['bytes'])} in {spaced(summary['shards'])} shard{'s' if summary['shards'] != 1 else ''}"
    )
    each = f", {format_bytes(summary['bytes'] / scan.stored)} a pair" if scan.stored else ""
    sections = [paragraph(f"{account[0].upper()}{account[1:]}."), paragraph(f"{size}{each}.")]
    if not (folder / SUMMARY_NAME).is_file():
        sections.append(paragraph("There is no summary.json; this page was made from the shards alone.", note=True))
    elif scan.stored != summary["pairs"]:
        words = f"The shards hold {spaced(scan.stored)} pairs: summary.json belongs to others or is older."
        sections.append(paragraph(f"{words} Run data_prep/merge.py to write it anew."))
    return sections


def _reasons(summary: dict) -> list[str]:
    """Count skipped inputs, dropped frames and dropped pairs by reason, and name the inputs."""
    noun, skipped, repeats = summary["noun"], summary["skipped"], summary["near_duplicates"]
    columns = {
        noun: {reason: len(names) for reason, names in skipped.items()},
        "frames": summary["dropped_frames"],
        "pairs": summary["dropped_pairs"],
        "masks": summary.get("dropped_masks", {}),
    }
    columns = {title: counts for title, counts in columns.items() if counts}
    reasons = dict.fromkeys(reason for counts in columns.values() for reason in counts)
    rows = [[reason, *(spaced(c[reason]) if reason in c else "" for c in columns.values())] for reason in reasons]
    sections = [table(("reason", *columns), rows)] if rows else []
    for reason, names in skipped.items():
        sections.append(_named(f"{noun} skipped, {reason}: {spaced(len(names))}", names, ": "))
    if repeats:
        title = f"{noun} excluded, near-duplicates of others: {spaced(len(repeats))}"
        sections.append(_named(title, repeats, " repeats "))
    return sections or [paragraph("Nothing was left out.")]


def _named(title: str, words: Mapping[str, str], joint: str) -> str:
    lines = [f"{name}{joint}{detail}" if detail else name for name, detail in islice(words.items(), NUM_NAMED)]
    more = [f"and {spaced(len(words) - NUM_NAMED)} more"] if len(words) > NUM_NAMED else []
    return folded(title, lines + more)


def _tables(summary: dict) -> list[str]:
    titles = {"sizes": "size", "codecs": "codec", "decoders": "decoder"}
    tables = [_tally(title, summary[name], summary["noun"]) for name, title in titles.items() if summary[name]]
    return [strip(tables), *_speed(summary)]


def _tally(title: str, counts: Mapping[str, int], noun: str) -> str:
    rows = [(name, spaced(count)) for name, count in islice(counts.items(), NUM_ROWS)]
    if len(counts) > NUM_ROWS:
        rows.append((f"{len(counts) - NUM_ROWS} others", spaced(sum(islice(counts.values(), NUM_ROWS, None)))))
    return table((title, noun), rows)


def _speed(summary: dict) -> list[str]:
    effort = summary["effort"]
    wall, cpu = effort["wall_seconds"], sum(effort["cpu_seconds"].values())
    if wall <= 0 or cpu <= 0:
        return [paragraph("The duration of the work is not recorded.", note=True)]
    done = {summary["noun"]: effort["inputs"], "pairs": effort["pairs"]}
    rows = [(name, spaced(num), f"{num / wall:.2f}", f"{num / cpu:.2f}") for name, num in done.items()]
    note = f"{spaced(round(wall))} s of wall-clock time, all commands together; {spaced(round(cpu))} s of CPU time:"
    return [
        table(("done", "number", "a second", "a CPU-second"), rows),
        paragraph(note),
        stacked_bar(effort["cpu_seconds"], "s"),
    ]


def _pictures(shards: Sequence[Path], scan: Scan) -> list[str]:
    samples = list_samples(shards)
    if not samples:
        return [heading("Pairs"), paragraph("There are no pairs to show.")]
    shown = choose_over_band(samples, NUM_SHOWN)
    most, least = choose_extremes(samples, NUM_EXTREMES)
    num_read = len({sample.shard for sample in samples})
    basis = f"{spaced(len(samples))} of {spaced(scan.stored)} samples, in {num_read} of {len(shards)} shards"
    note = "Source left, reference right; lines join matched points, outlines show object masks"
    sections = [
        heading("Pairs"),
        paragraph(f"At even steps from the least similar to the most. {note}. Chosen from {basis}.", note=True),
        pair_sheet(shown, PAIR_HEIGHT),
        heading("Samples as a training batch"),
        *training_view(spread(shown, NUM_TRAINING)),
    ]
    for title, extreme in (("most", most), ("least", least)):
        if extreme:
            sections += [heading(f"The {len(extreme)} {title} similar"), pair_sheet(extreme, SMALL_HEIGHT)]
    return sections


def _examples(scan: Scan) -> list[str]:
    sections = []
    for reason, examples in scan.examples.items():
        sections += [heading(reason, level=3), strip([_example(example) for example in examples])]
    return sections or [paragraph("The indexes hold no example.")]


def _example(example: dict[str, str]) -> str:
    try:
        picture = decode_rgb(base64.b64decode(example["picture"]))
    except ValueError:
        raise UserError(f"an index's example of {example['reason']} is no picture; shard the data anew") from None
    return figure(to_pil(picture), example["name"])


def report_folder(config: ShardFolderConfig) -> str:
    """Write the report anew; returns a line with its path."""
    return f"report -> {write_report(config.folder)}"
