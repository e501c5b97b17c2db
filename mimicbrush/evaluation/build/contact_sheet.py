"""contact_sheet.html: every triplet at a glance, to find the masks that went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.build.triplets import Account, Triplet
from mimicbrush.evaluation.outline import outlined
from mimicbrush.files import write_text
from mimicbrush.pictures.conversion import shrink_to_fit, to_pil
from mimicbrush.pictures.reading import read_image, read_mask
from mimicbrush.reports.html_page import columns, figure, folded, heading, page, paragraph, strip

SIDE = 240
"""CSS pixels of a picture's longer side; two pictures and a gap are half the page."""


MEND_MASKS = (
    "If not: mend or delete masks in a copy of the folder masks, and build again from it with masks.method files."
)


def write_contact_sheet(account: Account, samples: list[Sample], output: Path, *, advice: str = MEND_MASKS) -> Path:
    """Write contact_sheet.html into the output folder and return its path; advice: what to do about bad masks."""
    sections = [
        paragraph(f"{account.sentence()}.", note=True),
        paragraph(
            "Left the source, right the reference, with their masks' outlines: is every mask where it belongs?"
            f" {advice}"
        ),
        columns([_card(each, sample) for each, sample in zip(account.triplets, samples, strict=True)]),
    ]
    if account.skipped:
        lines = [f"{path}: {why.reason}: {why.detail}" for path, why in account.skipped.items()]
        sections.append(folded(f"Skipped photographs: {len(lines)}", lines))
    path = output / "contact_sheet.html"
    write_text(page(f"Contact sheet: {len(samples)} triplets", sections), path)
    return path


def _card(triplet: Triplet, sample: Sample) -> str:
    title = heading(f"{triplet.id} · {triplet.group}", level=3)
    pictures = (
        _thumbnail(sample.source, sample.mask, triplet.source["file"]),
        _thumbnail(sample.reference, sample.reference_mask, triplet.reference["file"]),
    )
    return f"<div>{title}{strip(pictures)}{paragraph(sample.prompt) if sample.prompt else ''}</div>"


def _thumbnail(picture: Path, mask: Path | None, label: str) -> str:
    """The picture with its mask's outline, if it has one, kept sharper than it is shown for dense screens."""
    image = to_pil(read_image(picture))
    if mask:
        levels = to_pil(read_mask(mask))
        label = f"{label} · mask {np.mean(np.array(levels) > 127):.0%}"
        image = outlined(image, levels)
    width = round(SIDE * image.width / max(image.size))
    return figure(shrink_to_fit(image, SIDE * 3 // 2, SIDE * 3 // 2), label, width=max(1, width))
