"""The paper's published numbers about editing quality (arXiv 2406.07547, Tables 1, 3 and 4).

They were measured on the paper's own benchmark, with code of its own; neither was released. SSIM, PSNR and LPIPS belong
to the inner-ID track, the similarities, times 100, to the inter-ID track.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from mimicbrush.benchmark_layout import Task, Track

Column = Literal["SSIM", "PSNR", "LPIPS", "DINO-I", "CLIP-I", "CLIP-T"]

COLUMNS: dict[Track, tuple[Column, ...]] = {
    "inner_id": ("SSIM", "PSNR", "LPIPS"),
    "inter_id": ("DINO-I", "CLIP-I", "CLIP-T"),
}
"""Columns of each track; the paper prints both side by side."""


class PublishedRow(NamedTuple):
    """One row of a table of the paper, for one task."""

    table: Literal[1, 3, 4]
    name: str
    task: Task
    values: dict[Column, float]
    is_full: bool = False
    """Whether it is the full method, not another method or an ablation."""


def _row(table: Literal[1, 3, 4], name: str, task: Task, *values: float, is_full: bool = False) -> PublishedRow:
    columns = (column for track in COLUMNS.values() for column in track)
    return PublishedRow(table, name, task, dict(zip(columns, values, strict=True)), is_full)


PUBLISHED: tuple[PublishedRow, ...] = (
    _row(1, "Paint-by-Example without box", "parts", 0.51, 15.17, 0.49, 41.44, 81.00, 29.45),
    _row(1, "Paint-by-Example with box", "parts", 0.51, 16.09, 0.48, 42.70, 81.10, 29.30),
    _row(1, "AnyDoor without mask", "parts", 0.42, 12.73, 0.56, 43.41, 78.56, 28.45),
    _row(1, "AnyDoor with mask", "parts", 0.44, 14.09, 0.50, 61.30, 86.08, 29.39),
    _row(1, "MimicBrush", "parts", 0.70, 17.54, 0.28, 56.48, 84.30, 30.08, is_full=True),
    _row(3, "CLIP encoder as reference network", "parts", 0.66, 16.78, 0.31, 45.03, 82.30, 30.05),
    _row(3, "DINOv2 encoder as reference network", "parts", 0.67, 16.50, 0.32, 48.34, 82.40, 29.84),
    _row(3, "MimicBrush (U-Net as reference network)", "parts", 0.70, 17.54, 0.28, 56.48, 84.30, 30.08, is_full=True),
    _row(4, "Image data only", "parts", 0.67, 14.95, 0.33, 39.68, 79.90, 29.12),
    _row(4, "Weak augmentation", "parts", 0.68, 16.98, 0.30, 50.55, 83.20, 29.81),
    _row(4, "Single box, 0.50", "parts", 0.66, 15.97, 0.32, 47.41, 82.10, 28.97),
    _row(4, "Grid, 0.25", "parts", 0.68, 17.10, 0.30, 49.17, 82.94, 29.80),
    _row(4, "Grid, 0.50", "parts", 0.68, 16.97, 0.30, 50.09, 82.56, 29.84),
    _row(4, "Grid, 0.75", "parts", 0.67, 16.61, 0.30, 49.94, 83.00, 29.75),
    _row(4, "MimicBrush (full pipeline)", "parts", 0.70, 17.54, 0.28, 56.48, 84.30, 30.08, is_full=True),
    _row(3, "CLIP encoder as reference network", "texture", 0.75, 16.78, 0.31, 37.86, 78.30, 31.39),
    _row(3, "DINOv2 encoder as reference network", "texture", 0.74, 17.27, 0.27, 46.34, 78.00, 30.61),
    _row(3, "MimicBrush (U-Net as reference network)", "texture", 0.75, 17.73, 0.26, 49.83, 79.44, 30.75, is_full=True),
    _row(4, "Image data only", "texture", 0.70, 15.10, 0.31, 41.30, 77.80, 30.72),
    _row(4, "Weak augmentation", "texture", 0.74, 18.13, 0.26, 50.92, 80.00, 31.23),
    _row(4, "Single box, 0.50", "texture", 0.72, 16.24, 0.31, 48.52, 78.10, 29.30),
    _row(4, "Grid, 0.25", "texture", 0.74, 17.35, 0.27, 50.09, 79.50, 31.05),
    _row(4, "Grid, 0.50", "texture", 0.73, 17.25, 0.27, 48.58, 81.00, 30.35),
    _row(4, "Grid, 0.75", "texture", 0.73, 16.69, 0.28, 52.46, 81.75, 30.02),
    _row(4, "MimicBrush (full pipeline)", "texture", 0.75, 17.73, 0.26, 49.83, 79.44, 31.75, is_full=True),
)
"""In the order of the tables. For texture transfer no other method's numbers were published."""

INCONSISTENCIES: dict[Task, dict[Track, str]] = {
    "parts": {},
    "texture": {
        "inner_id": "Table 3 repeats for the CLIP encoder the PSNR and LPIPS of part composition (16.78, 0.31), "
        "possibly by mistake. Weak augmentation has a higher PSNR than the full pipeline (18.13 against 17.73).",
        "inter_id": "The full method's CLIP-T is 30.75 in Table 3 and 31.75 in Table 4. On texture transfer, weak "
        "augmentation and the grids with 0.25 and 0.75 score higher than the full pipeline in DINO-I and CLIP-I.",
    },
}
"""Where the paper contradicts itself, or its conclusion."""

UNSTATED: dict[Track, str] = {
    "inner_id": "The paper states neither LPIPS's network nor how SSIM treats colour.",
    "inter_id": "The paper states neither the variants of DINO and CLIP nor the colour of the removed background; "
    "AnyDoor with mask was given the reference's mask.",
}


def published_rows(task: Task) -> list[PublishedRow]:
    """Rows shown beside measured ones: Table 1 for part composition; the full method for texture transfer."""
    rows = [row for row in PUBLISHED if row.task == task]
    return [row for row in rows if row.table == 1] or [row for row in rows if row.is_full]


def published_ablations(task: Task) -> list[PublishedRow]:
    """All other rows: Tables 3 and 4."""
    shown = published_rows(task)
    return [row for row in PUBLISHED if row.task == task and row not in shown]
