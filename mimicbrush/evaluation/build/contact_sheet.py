"""contact_sheet.html: every triplet at a glance, to find the masks that went wrong."""

from __future__ import annotations

from html import escape
from pathlib import Path

from PIL import Image

from mimicbrush.evaluation.benchmark import Sample, is_filled
from mimicbrush.evaluation.build.triplets import Account, Triplet
from mimicbrush.evaluation.outline import outlined
from mimicbrush.files import write_text
from mimicbrush.page import charts, figure, folded, page, paragraph, strip

SIDE = 240
"""CSS pixels of a picture's longer side; two pictures and a gap are half the page."""


def write_contact_sheet(account: Account, samples: list[Sample], output: Path) -> Path:
    """Write contact_sheet.html into the output folder and return its path."""
    sections = [
        paragraph(f"{account.sentence()}.", note=True),
        paragraph("Left the source, right the reference, with their masks' outlines: is every mask where it belongs?"),
        charts([_card(each, sample) for each, sample in zip(account.triplets, samples, strict=True)]),
    ]
    if account.skipped:
        lines = [f"{path}: {why.reason}: {why.detail}" for path, why in account.skipped.items()]
        sections.append(folded(f"{len(lines)} photographs skipped", lines))
    path = output / "contact_sheet.html"
    write_text(page(f"Contact sheet: {len(samples)} triplets", sections), path)
    return path


def _card(triplet: Triplet, sample: Sample) -> str:
    title = f"<h3>{escape(triplet.id)} · {escape(triplet.group)}</h3>"
    pictures = (
        _thumbnail(sample.source, sample.mask, triplet.source["file"]),
        _thumbnail(sample.reference, sample.reference_mask, triplet.reference["file"]),
    )
    prompt = triplet.prompt or sample.prompt or ""
    return f"<div>{title}{strip(pictures)}{paragraph(prompt) if is_filled(prompt) else ''}</div>"


def _thumbnail(picture: Path, mask: Path, label: str) -> str:
    """The picture with its mask's outline, kept sharper than it is shown for dense screens."""
    image = outlined(Image.open(picture).convert("RGB"), Image.open(mask).convert("L"))
    width = round(SIDE * image.width / max(image.size))
    image.thumbnail((SIDE * 3 // 2, SIDE * 3 // 2), Image.Resampling.LANCZOS)
    return figure(image, label, width=max(1, width))
