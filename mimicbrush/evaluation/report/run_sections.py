"""Sections of report.html about the network and its data: reference use, training, shards."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from mimicbrush.evaluation.config import SUMMARY_FIELDS
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.measure_reference_use import format_reference_use
from mimicbrush.files import read_object
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.pictures.conversion import shrink_to_fit, to_pil
from mimicbrush.pictures.reading import read_image
from mimicbrush.reports.display_name import display_name
from mimicbrush.reports.html_page import bullets, paragraph, span, table
from mimicbrush.reports.html_pictures import Shown, figure, gallery, strip
from mimicbrush.reports.number_format import format_number

PREVIEW_WIDTH, PREVIEW_HEIGHT = 1100, 300
"""Width of a preview sheet as stored, and height on the page, in pixels."""
NUM_PREVIEWS = 3


def reference_use_section(results: EvaluationResults) -> list[str]:
    """Tabulate reference use for each kind of pairs; empty if it was not measured."""
    if not results.reference_use:
        return []
    tables, others = [], {}
    titles = results.config.editor_titles
    for pairs, uses in results.reference_use.items():
        rows = [[titles[editor], *format_reference_use(use)] for editor, use in uses.items() if use]
        others |= {titles[editor]: None for editor, use in uses.items() if not use}
        name = results.config.set_titles.get(pairs, display_name(pairs))
        if rows:
            tables.append(table([f"Pairs: {name}", *(f"{column} ↑" for column in COMPARISONS)], rows))
    undefined = (
        [paragraph(f"Not defined for {', '.join(others)}, which predict no noise.", note=True)] if others else []
    )
    if not tables:
        return undefined
    return [
        paragraph(
            "Does the network imitate, or does it only inpaint? On pairs with a known truth, noise is predicted once"
            " with the right reference and once with a wrong one, and the errors inside the mask are compared. The"
            " table shows the share of pairs in which the right reference gives the lower error (↑ higher is better):"
            " 0.5 is chance, which a network that ignores its reference reaches; 1 means that the right reference"
            " always helps. Brackets hold 95 % intervals over clips and photographs."
        ),
        *tables,
        *undefined,
        bullets([f"{name}: {meaning}." for name, meaning in COMPARISONS.items()]),
    ]


def training_section(folder: Path | None) -> list[str]:
    """Show losses and previews of a folder written by train.py; empty without one."""
    if folder is None:
        return []
    curve = folder / "loss.png"
    return [
        *_losses(_read_csv(folder / "metrics.csv")),
        *([strip([figure(curve, "Loss over training steps")])] if curve.is_file() else []),
        *_previews(sorted((folder / "previews").glob("*.png"))),
    ]


def _losses(records: list[dict[str, str]]) -> list[str]:
    """Tabulate the first and the last recorded losses."""
    if not records:
        return []
    ends = [records[0], records[-1]] if len(records) > 1 else records
    header = ["Recorded", *(f"step {float(record['step']):.0f} ↓" for record in ends)]
    names = [name for name in ends[0] if name.startswith("loss")]
    # A cell is empty if training saw no sample of that kind.
    rows = [
        [_loss_title(name), *(format_number(float(record[name])) if record[name] else "" for record in ends)]
        for name in names
    ]
    return [
        table(header, rows),
        paragraph("Loss: mean squared error of the predicted noise or velocity.", note=True),
    ]


def _loss_title(name: str) -> str:
    """Write a column of metrics.csv in words: `loss_0_249` is the loss of timesteps 0 to 249."""
    timesteps = re.fullmatch(r"loss_(\d+)_(\d+)", name)
    return f"Loss, timesteps {timesteps[1]} to {timesteps[2]}" if timesteps else display_name(name)


def _previews(paths: list[Path]) -> list[str]:
    """Show a few preview sheets, from the first to the last."""
    if not paths:
        return []
    chosen = sorted({round(place * (len(paths) - 1) / (NUM_PREVIEWS - 1)) for place in range(NUM_PREVIEWS)})
    explanation = (
        "Previews on held-out pairs, one in each row: masked source, reference, edit without and with the source's"
        " shape map, truth."
    )
    return [paragraph(explanation), gallery([_preview(paths[number]) for number in chosen], height=PREVIEW_HEIGHT)]


def _preview(path: Path) -> Shown:
    image = shrink_to_fit(to_pil(read_image(path)), PREVIEW_WIDTH, 4 * PREVIEW_WIDTH)
    step = path.stem.rpartition("-")[2]
    return Shown(image, f"After step {int(step)}" if step.isdigit() else path.stem)


def data_section(paths: list[Path]) -> list[str]:
    """Tabulate the inputs that data preparation kept and skipped; missing files are left out."""
    rows = []
    for path in filter(Path.is_file, paths):
        summary = read_object(path, *SUMMARY_FIELDS)
        words = summary.get("words", {})  # absent in summaries of earlier versions
        skipped = ", ".join(f"{words.get(code, code)} ({len(names)})" for code, names in summary["skipped"].items())
        inputs = f"{summary['inputs']} {summary['noun']}"
        rows.append([path.parent.name, inputs, summary["kept"], span(skipped or "none", "text"), summary["pairs"]])
    if not rows:
        return []
    return [table(["Shards", "Inputs", "Kept", span("Skipped", "text"), "Pairs"], rows)]


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
