"""Write a page on a folder of shards: what was kept and left out and why, single inputs, pairs, settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from data_prep.config import ReportConfig
from data_prep.records.folder_summary import SUMMARY_NAME, list_all_shards, load_summary
from data_prep.shard_report.expectations import expectations
from data_prep.shard_report.folder_scan import FolderScan, scan_folder
from data_prep.shard_report.histograms import histogram_section
from data_prep.shard_report.input_table import MAX_REPEATS, input_section, repeats_section
from data_prep.shard_report.left_out import examples_section, overview, reasons_section
from data_prep.shard_report.pair_pictures import (
    MAX_OF_ONE,
    choose_extremes,
    choose_over_band,
    list_samples,
    pair_sheet,
    spread,
    training_view,
)
from data_prep.shard_report.run_details import run_section, speed_section
from mimicbrush.errors import spaced
from mimicbrush.files import write_text
from mimicbrush.reports.html_page import Section, page, paragraph, with_contents
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

REPORT_NAME = "report.html"
NUM_SHOWN = 24
"""Number of pairs and stills shown, from the least to the most similar."""
NUM_EXTREMES = 10
"""Number of most similar pairs shown, and of least similar ones."""
NUM_TRAINING = 8
"""Number of samples shown as a training batch."""
PAIR_HEIGHT = 132
SMALL_HEIGHT = 96


def write_report(folder: Path) -> Path:
    """Write `report.html` into a folder of shards, with or without a summary.json.

    Raises UserError if there is neither shard nor index, or one is damaged.
    """
    shards = list_all_shards(folder)
    summary = load_summary(folder, shards)
    repeats = summary["near_duplicates"]
    twins = dict(islice(repeats.items(), MAX_REPEATS))
    scan = scan_folder(shards, summary, compared={*twins, *twins.values()})
    noun = summary["noun"]
    sections = {
        **({"What to expect": expectations(summary["sources"])} if "sources" in summary else {}),
        "Left out": reasons_section(summary, scan),
        f"{noun.capitalize()}, worst first": input_section(scan, summary, _input_folder(folder)),
        "Repeats": repeats_section(scan, repeats),
        **_pictures([path for path in shards if path.is_file()], scan, noun.removesuffix("s")),
        "Rejected": examples_section(scan),
        "Similarity, time and motion": histogram_section(summary),
        "Clips and speed" if summary["codecs"] else "Sizes and speed": speed_section(summary),
        "Settings and commands": run_section(folder, summary),
    }
    report = folder / REPORT_NAME
    begin = overview(summary, scan, has_summary=(folder / SUMMARY_NAME).is_file())
    title = f"Shards in {folder.resolve().name}"
    body = with_contents([Section(name, parts) for name, parts in sections.items()])
    write_text(page(title, [*begin, *body]), report)
    return report


def _input_folder(folder: Path) -> Path | None:
    """The folder to which the names of the inputs are relative; None if it is unknown or not on this machine."""
    try:
        settings = parse_yaml((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        inputs = Path(settings.get("videos") or settings["photographs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return inputs if inputs.is_dir() else inputs.parent


def _pictures(shards: Sequence[Path], scan: FolderScan, noun: str) -> dict[str, list[str]]:
    """Sections that show samples. noun: name of one input."""
    samples = list_samples(shards)
    if not samples:
        return {"Pairs": [paragraph("There are no pairs to show.")]}
    shown = choose_over_band(samples, NUM_SHOWN)
    most, least = choose_extremes(samples, NUM_EXTREMES)
    num_read = len({sample.place.shard for sample in samples})
    basis = f"{spaced(len(samples))} of {spaced(scan.stored)} samples, in {num_read} of {len(shards)} shards"
    note = "Source left, reference right; lines join matched points, outlines show object masks"
    order = f"At even steps from the least similar to the most. {note}. Chosen from {basis}."
    extremes = {
        title: [paragraph(f"At most {MAX_OF_ONE} of each {noun}.", note=True), pair_sheet(extreme, SMALL_HEIGHT)]
        for title, extreme in (("Most similar pairs", most), ("Least similar pairs", least))
        if extreme
    }
    return {
        "Pairs": [paragraph(order, note=True), pair_sheet(shown, PAIR_HEIGHT)],
        **extremes,
        "Samples as a training batch": training_view(spread(shown, NUM_TRAINING)),
    }


def report_folder(config: ReportConfig) -> str:
    """Write the report anew; returns a line with its path."""
    return f"report -> {write_report(config.folder)}"
