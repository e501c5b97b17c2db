"""The card of shards on the hub, made of their summary, settings and samples: contents, making, licences, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import DatasetCardData

from data_prep.inputs.input_files import UNNAMED, read_shard_config
from data_prep.records.folder_summary import SUMMARY_NAME
from data_prep.records.summary import describe, name_samples
from mimicbrush.data.licences import UNSTATED, count_licences
from mimicbrush.data.shard_index import list_shards
from mimicbrush.errors import UserError, spaced
from mimicbrush.files import read_object
from mimicbrush.hub.upload import markdown_table
from mimicbrush.reports.number_format import format_bytes

STAYS_HERE = ("log.jsonl", "report.html", "config.yaml", ".*", "*/.*")
"""Patterns of files of a folder of shards that are not uploaded: those that name folders of this machine, and hidden
ones."""


def data_card(folder: Path, *, repo_id: str, licence: str) -> str:
    """Write the card of a merged folder of shards, as Markdown with the hub's metadata.

    licence: of the data set, as the hub names it. Raises UserError if the folder is not a merged folder of shards.
    """
    settings = read_shard_config(folder)
    if not (folder / SUMMARY_NAME).is_file():
        raise UserError(f"{folder}: holds no {SUMMARY_NAME}; run python data_prep/merge.py {folder} first")
    summary = read_object(folder / SUMMARY_NAME)
    licences = count_licences(list_shards(folder))
    data = DatasetCardData(license=licence, tags=["webdataset", "mimicbrush"], task_categories=["image-to-image"])
    sections = {
        "Contents": _contents(summary),
        "Licences of the pictures": _licences(licences, name_samples(summary["noun"])),
        "Making": _making(summary, settings),
        "Limits": _limits(summary, licences),
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    intro = "Training shards for imitative editing (MimicBrush, [arXiv 2406.07547](https://arxiv.org/abs/2406.07547))."
    return f"---\n{data.to_yaml()}\n---\n\n# {repo_id.rpartition('/')[2]}\n\n{intro}\n\n{body}\n"


def _contents(summary: Mapping) -> Iterator[str]:
    shards = f"{spaced(summary['shards'])} shard{'s' if summary['shards'] != 1 else ''}"
    yield (
        f"{spaced(summary['pairs'])} {name_samples(summary['noun'])} of {spaced(summary['kept'])} {summary['noun']}, "
        f"{format_bytes(summary['bytes'])} in {shards} of WebDataset. A sample is a source, a "
        "reference (a still may have none), object masks, and JSON with similarity, matched keypoints and origin. "
        "`excluded.json` names samples that training leaves out; `index.json` lists the shards with their SHA-256.\n"
    )
    yield "    data:"
    yield "      sources: [{shards: FOLDER, weight: 1.0}]    # of a config of train.py, after `hf download`"


def _licences(licences: Mapping[str, int], noun: str) -> Iterator[str]:
    yield markdown_table(("licence", noun), [(name, spaced(number)) for name, number in licences.items()])


def _making(summary: Mapping, settings: Mapping) -> Iterator[str]:
    account = describe(summary)
    yield f"{account[:1].upper()}{account[1:]}.\n"
    rows = [(name, value) for name, value in _flat(settings) if value is not None]
    yield markdown_table(("setting", "value"), rows)
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    yield f"\nVersions: {versions}."


def _flat(settings: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and name not in UNNAMED:
            yield from _flat(value, f"{prefix}{name}.")
        elif name not in UNNAMED and not (isinstance(value, str) and Path(value).is_absolute()):
            yield f"{prefix}{name}", value


def _limits(summary: Mapping, licences: Mapping[str, int]) -> Iterator[str]:
    if number := licences.get(UNSTATED):
        total = spaced(sum(licences.values()))
        yield f"- No licence is stated for {spaced(number)} of {total} {name_samples(summary['noun'])}."
    if facts := summary.get("sources"):
        yield f"- The pairs show {spaced(facts['groups'])} things; pairs of one thing are not independent."
        guessed = facts["masks"].get("grabcut", 0)
        if guessed:
            yield f"- {spaced(guessed)} object masks were found by GrabCut, and may be wrong."
    yield "- Pictures were selected by similarity and quality alone, not by what they show; people may be recognisable."
