"""report.html: one file that tells a stranger what was asked, what came out, and how good it is."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mimicbrush.config import dump_config
from mimicbrush.evaluation.benchmark import BenchmarkSet, Sample
from mimicbrush.evaluation.edits import edited_path
from mimicbrush.evaluation.reference_use import format_reference_use
from mimicbrush.evaluation.results import Results, set_metrics
from mimicbrush.evaluation.tables import ARROWS, column_title, format_number, format_summary
from mimicbrush.files import read_object, write_text
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.page import figure, heading, page, paragraph, strip, table

PAGE_WIDTH = 1100
FIGURE_GAP = 10
MAX_FIGURE = 176
NUM_STRIPS = 12
NUM_PREVIEWS = 3
OUTLINE = (255, 0, 160)

TASKS = {"texture": "texture transfer", "parts": "part composition"}
TRACKS = {
    "inner_id": "inner-ID: the reference shows the same thing at another time, and the source itself is the truth",
    "inter_id": "inter-ID: the reference shows another thing, and there is no truth",
}


def write_report(results: Results, samples: dict[str, list[Sample]]) -> Path:
    """Write report.html into the output folder and return its path."""
    sections = [_introduction(results)]
    for set_name, benchmark_set in results.config.sets.items():
        sections += [heading(set_name), *_set_section(results, set_name, benchmark_set, samples[set_name])]
    sections += _reference_use_section(results) + _training_section(results.config.training_run)
    sections += _data_section(results.config.data_summaries) + _settings_section(results)
    path = results.config.output / "report.html"
    write_text(page("Imitative editing: evaluation", sections), path)
    return path


def _introduction(results: Results) -> str:
    return paragraph(
        f"{results.date} · {results.hardware} · seeds {', '.join(map(str, results.config.seeds))}", note=True
    ) + paragraph(
        "Each editor is given a source picture, a mask and a reference picture, and repaints the masked region so that "
        "it imitates the matching part of the reference. An arrow tells which direction is better (↑ higher, ↓ lower); "
        "a number without an arrow describes and does not judge. Brackets hold 95 % intervals, bootstrapped over "
        "source photographs."
    )


def _set_section(results: Results, set_name: str, benchmark_set: BenchmarkSet, samples: list[Sample]) -> list[str]:
    shown = samples[:NUM_STRIPS]
    which = f"the first {len(shown)} of {len(samples)}" if len(shown) < len(samples) else f"all {len(samples)}"
    return [
        paragraph(f"{TASKS[benchmark_set.task].capitalize()}, {TRACKS[benchmark_set.track]}. {len(samples)} samples."),
        _means_table(results, set_name, benchmark_set),
        _meanings(results, set_name, benchmark_set),
        f"<h3>Samples ({which})</h3>",
        *(_sample_strip(results, set_name, sample) for sample in shown),
    ]


def _means_table(results: Results, set_name: str, benchmark_set: BenchmarkSet) -> str:
    metrics = set_metrics(results.config, set_name)
    rows = []
    for editor in results.config.editors:
        means = [format_summary(results.summaries[set_name, editor, name]) for name in metrics]
        rows.append([editor, *means, _mean_seconds(results, set_name, editor)])
    return table(["editor", *map(column_title, metrics.values()), f"s an edit{ARROWS['lower']}"], rows)


def _mean_seconds(results: Results, set_name: str, editor: str) -> str:
    seconds = [
        sample.seconds
        for sample in results.edits
        if (sample.set_name, sample.editor) == (set_name, editor) and sample.seconds is not None
    ]
    return format_number(sum(seconds) / len(seconds)) if seconds else "not recorded"


def _meanings(results: Results, set_name: str, benchmark_set: BenchmarkSet) -> str:
    metrics = set_metrics(results.config, set_name)
    notes = [f"{metric.title}: {metric.meaning}." for metric in metrics.values()]
    for (name, editor, metric), summary in results.summaries.items():
        if name == set_name and summary.note:
            notes.append(f"{metrics[metric].title} of {editor}: {summary.note}.")
    return _notes(notes)


def _sample_strip(results: Results, set_name: str, sample: Sample) -> str:
    """Source, source with the mask's outline, reference, every edit, and the truth where there is one."""
    editors = results.config.editors
    pictures = [
        ("source", Image.open(sample.source)),
        ("mask", _outlined(sample)),
        ("reference", Image.open(sample.reference)),
        *(
            (editor, Image.open(path))
            for editor in editors
            if (path := edited_path(results.config.edits(set_name, editor, results.config.seeds[0]), sample)).is_file()
        ),
    ]
    if sample.track == "inner_id":
        pictures.append(("truth = source", Image.open(sample.source)))
    side = min(MAX_FIGURE, (PAGE_WIDTH - FIGURE_GAP * (len(pictures) - 1)) // len(pictures))
    prompt = f": {sample.prompt.replace('#', '')}" if sample.prompt else ""
    return paragraph(f"{sample.id}{prompt}") + strip([_thumbnail(image, label, side) for label, image in pictures])


def _outlined(sample: Sample) -> Image.Image:
    """The source with a line around the mask, wide enough to survive shrinking."""
    source = np.array(Image.open(sample.source).convert("RGB"))
    mask = np.array(Image.open(sample.mask).convert("L")) > 127
    width = max(1, max(mask.shape) // 100)
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    source[(cv2.dilate(mask.astype(np.uint8), window) > 0) & ~mask] = OUTLINE
    return Image.fromarray(source)


def _thumbnail(image: Image.Image, label: str, side: int) -> str:
    """A figure whose longer side is `side` CSS pixels, kept sharper than that for dense screens."""
    small = image.convert("RGB")
    width = round(side * small.width / max(small.size))
    small.thumbnail((side * 3 // 2, side * 3 // 2), Image.Resampling.LANCZOS)
    return figure(small, label, width=max(1, width))


def _reference_use_section(results: Results) -> list[str]:
    if not results.reference_use:
        return []
    rows = [
        [f"{editor}, {pairs}", *format_reference_use(use)]
        for pairs, uses in results.reference_use.items()
        for editor, use in uses.items()
    ]
    return [
        heading("Reference use"),
        paragraph(
            "Does the network imitate, or merely inpaint? On held-out pairs, noise is predicted with the right"
            " reference and with a wrong one, and the errors inside the mask are compared. The table gives the share"
            " of pairs in which the right reference gives the lower error (↑ higher is better): 0.5 is chance, what a"
            " network that ignores its reference reaches; 1 means that the right reference always helps. Brackets hold"
            " 95 % intervals over clips and photographs."
        ),
        table(["editor", *(f"{name} ↑" for name in COMPARISONS)], rows),
        _notes([f"{name}: {meaning}." for name, meaning in COMPARISONS.items()]),
    ]


def _training_section(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    curve = folder / "loss.png"
    return [
        heading("Training"),
        *_losses(_read_csv(folder / "metrics.csv")),
        *([strip([figure(curve, "loss over training steps")])] if curve.is_file() else []),
        *_previews(sorted((folder / "previews").glob("*.png"))),
    ]


def _losses(records: list[dict[str, str]]) -> list[str]:
    """The first and the last recorded losses."""
    if not records:
        return []
    ends = [records[0], records[-1]] if len(records) > 1 else records
    header = ["recorded", *(f"step {float(record['step']):.0f} ↓" for record in ends)]
    names = [name for name in ends[0] if name.startswith("loss")]
    # A cell is empty where no sample of that kind has been seen.
    rows = [[name, *(format_number(float(record[name])) if record[name] else "" for record in ends)] for name in names]
    return [
        table(header, rows),
        paragraph("Loss: mean squared error of what the network predicts, noise or velocity.", note=True),
    ]


def _previews(paths: list[Path]) -> list[str]:
    """A few preview sheets, from the first to the last."""
    if not paths:
        return []
    chosen = sorted({round(place * (len(paths) - 1) / (NUM_PREVIEWS - 1)) for place in range(NUM_PREVIEWS)})
    explanation = (
        "Previews on held-out pairs, a pair a row: masked source, reference, edit without and with the source's shape"
        " map, truth."
    )
    return [paragraph(explanation), *(strip([_preview(paths[number])]) for number in chosen)]


def _preview(path: Path) -> str:
    image = Image.open(path).convert("RGB")
    image.thumbnail((PAGE_WIDTH, 4 * PAGE_WIDTH), Image.Resampling.LANCZOS)
    return figure(image, path.stem)


def _data_section(paths: list[Path]) -> list[str]:
    rows = []
    for path in filter(Path.is_file, paths):
        summary = read_object(path, "noun", "inputs", "kept", "skipped", "pairs")
        skipped = ", ".join(f"{len(names)} {reason}" for reason, names in summary["skipped"].items())
        inputs = f"{summary['inputs']} {summary['noun']}"
        rows.append([path.parent.name, inputs, summary["kept"], skipped or "none", summary["pairs"]])
    if not rows:
        return []
    return [heading("Data"), table(["shards", "inputs", "kept", "skipped", "pairs"], rows)]


def _settings_section(results: Results) -> list[str]:
    rows = [*results.versions.items(), ("hardware", results.hardware), ("wall time of this call, s", results.seconds)]
    return [
        heading("Settings"),
        table(["what", "value"], rows),
        f"<pre>{escape(dump_config(results.config))}</pre>",
    ]


def _notes(lines: Sequence[str]) -> str:
    return f"<ul class='note'>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
