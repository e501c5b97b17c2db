"""The parts of a report about the run: sizes, codecs, speed, commands, settings, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import yaml

from data_prep.config import PhotographShardConfig, SamShardConfig, VideoShardConfig
from data_prep.inputs.input_files import UNNAMED
from data_prep.records.work_log import read_log
from mimicbrush.config import to_plain
from mimicbrush.errors import spaced
from mimicbrush.reports.html_page import fold, paragraph, preformatted, span, table
from mimicbrush.reports.html_pictures import strip
from mimicbrush.reports.svg_chart import stacked_bar
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

NUM_ROWS = 12
"""Largest number of rows of a table of sizes, codecs, decoders or commands."""


def speed_section(summary: Mapping) -> list[str]:
    """Tabulate sizes, codecs and decoders, and the time that the work took."""
    titles = {"sizes": "size", "codecs": "codec", "decoders": "decoder"}
    tables = [_tally(title, summary[name], summary["noun"]) for name, title in titles.items() if summary[name]]
    return [*([strip(tables)] if tables else []), *_speed(summary)]


def _tally(title: str, counts: Mapping[str, int], noun: str) -> str:
    rows = [(name, spaced(count)) for name, count in islice(counts.items(), NUM_ROWS)]
    if len(counts) > NUM_ROWS:
        rows.append((f"{len(counts) - NUM_ROWS} others", spaced(sum(islice(counts.values(), NUM_ROWS, None)))))
    return table((title, noun), rows)


def _speed(summary: Mapping) -> list[str]:
    effort = summary["effort"]
    wall, cpu = effort["wall_seconds"], sum(effort["cpu_seconds"].values())
    if wall <= 0 or cpu <= 0:
        return [paragraph("The duration of the work is not recorded.", note=True)]
    done = {summary["noun"]: effort["inputs"], "pairs stored, before exclusions": effort["pairs"]}
    rows = [(name, spaced(num), f"{num / wall:.2f}", f"{num / cpu:.2f}") for name, num in done.items()]
    note = f"{spaced(round(wall))} s of wall-clock time, all commands together; {spaced(round(cpu))} s of CPU time:"
    return [
        table(("done", "number", "a second", "a CPU-second"), rows),
        paragraph(note),
        stacked_bar(effort["cpu_seconds"], "s"),
    ]


def run_section(folder: Path, summary: Mapping) -> list[str]:
    """Show the commands and their dates, the settings, and the versions of libraries."""
    versions = table(("part", "version"), sorted(summary["versions"].items()))
    return [
        *_commands(read_log(folder), summary["noun"]),
        *_settings(folder / CONFIG_NAME),
        fold("Versions of the libraries", versions),
    ]


def _commands(entries: Sequence[Mapping], noun: str) -> list[str]:
    if not entries:
        return [paragraph("The folder has no log of commands.", note=True)]
    shown = entries[-NUM_ROWS:]
    rows = [
        (
            entry.get("date", "not recorded"),
            spaced(entry["done"]),
            spaced(entry["pairs"]),
            spaced(round(entry["wall_seconds"])),
            span(entry.get("command", "not recorded"), "text"),
        )
        for entry in shown
    ]
    last = f"The last {NUM_ROWS} of {spaced(len(entries))} commands" if len(entries) > NUM_ROWS else "Commands"
    return [
        paragraph(f"{last} that worked on this folder and finished:"),
        table(("finished", noun, "pairs", "seconds", span("command", "text")), rows),
    ]


def _settings(path: Path) -> list[str]:
    """The settings that differ from the defaults, and all of them on a click."""
    try:
        text = path.read_text(encoding="utf-8")
        settings = parse_yaml(text)
    except (OSError, ValueError, yaml.YAMLError):
        return [paragraph(f"The folder has no readable {CONFIG_NAME}.", note=True)]
    changed = list(_changes(settings, _defaults(settings))) if isinstance(settings, dict) else []
    if changed:
        shown = table(("setting", "value", "default"), changed)
    else:
        shown = paragraph("All settings that decide what is stored have their defaults.")
    return [shown, fold(f"All settings ({CONFIG_NAME})", preformatted(text))]


def _defaults(settings: Mapping) -> dict:
    anywhere = Path()
    if "photographs" in settings:
        return to_plain(PhotographShardConfig(photographs=anywhere, output=anywhere))
    if "stills" in settings:
        return to_plain(SamShardConfig(stills=anywhere, output=anywhere))
    return to_plain(VideoShardConfig(videos=anywhere, output=anywhere))


def _changes(settings: Mapping, defaults: Mapping, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, value in settings.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            if name not in UNNAMED:
                yield from _changes(value, default, f"{prefix}{name}.")
        elif value != default and name not in UNNAMED:
            yield f"{prefix}{name}", str(value), "not an option any more" if name not in defaults else str(default)
