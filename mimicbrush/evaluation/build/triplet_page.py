"""contact_sheet.html: every triplet of a set with its masks, to find wrong masks by eye."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.build.triplets import BuildSummary, TripletRecord
from mimicbrush.files import write_text
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_image, read_mask
from mimicbrush.reports.html_page import columns, escape, folded, page, paragraph
from mimicbrush.reports.html_pictures import STORED_SIDE, captioned, card, enlargeable, picture_grid
from mimicbrush.reports.mask_outline import outline_mask

FIX_MASKS = (
    "If not: fix or delete masks in a copy of the folder masks, and build again from it with masks.method files."
)


def write_contact_sheet(summary: BuildSummary, samples: list[Sample], output: Path, *, advice: str = FIX_MASKS) -> Path:
    """Write contact_sheet.html into the output folder and return its path; advice: how to fix wrong masks."""
    sections = [
        paragraph(f"{summary.sentence()}.", note=True),
        paragraph(
            "The source is on the left, the reference on the right, with the outlines of their masks. Is every mask in"
            " the right place?"
            f" {advice}"
        ),
        columns([_card(each, sample) for each, sample in zip(summary.triplets, samples, strict=True)]),
    ]
    if summary.skipped:
        lines = [f"{path}: {why}" for path, why in summary.skipped.items()]
        sections.append(folded(f"Skipped photographs: {len(lines)}", lines))
    path = output / "contact_sheet.html"
    write_text(page(f"Contact sheet: {len(samples)} triplets", sections), path)
    return path


def _card(triplet: TripletRecord, sample: Sample) -> str:
    pictures = (
        _thumbnail(sample.source, sample.mask, triplet.source["file"]),
        _thumbnail(sample.reference, sample.reference_mask, triplet.reference["file"]),
    )
    prompt = paragraph(sample.prompt) if sample.prompt else ""
    return card(escape(f"{triplet.id} · {triplet.group}"), picture_grid(pictures) + prompt)


def _thumbnail(picture: Path, mask_path: Path | None, label: str) -> str:
    """Make a thumbnail with the outline of the mask, if there is one."""
    image = to_pil(read_image(picture))
    if mask_path:
        mask = read_mask(mask_path)[0].numpy() > 0.5
        label = f"{label} · mask {mask.mean():.0%}"
        image = outline_mask(image, mask)
    return captioned(enlargeable(image, label, side=STORED_SIDE), label)
