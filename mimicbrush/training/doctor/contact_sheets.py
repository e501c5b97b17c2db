"""Draw the contact sheets that `--check` writes."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mimicbrush.pictures.conversion import to_pil
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.training.doctor.first_batch import FirstBatch

DIFFERENCE_GAIN = 4
"""Factor that makes the autoencoder's errors visible."""
BATCH_TITLES = ("what the VAE sees", "mask, white: repaint", "shape map", "reference", "source = target")
ROUND_TRIP_TITLES = ("source", "through the VAE", f"difference x {DIFFERENCE_GAIN}")


def batch_sheet(first: FirstBatch) -> Image.Image:
    """Show one row for each pair: the autoencoder's input, mask channel, shape map, reference, target."""
    size = first.batch.source.shape[-2:]
    brightest = first.shape_map.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    columns = [first.seen, first.mask, first.shape_map / brightest, first.batch.reference, first.batch.source]
    return _sheet(BATCH_TITLES, [F.interpolate(column.float(), size).expand(-1, 3, -1, -1) for column in columns])


def round_trip_sheet(first: FirstBatch) -> Image.Image:
    """Show one row for each picture: the source, its reconstruction, and their amplified difference."""
    difference = (first.decoded - first.batch.source).abs() * DIFFERENCE_GAIN
    return _sheet(ROUND_TRIP_TITLES, [first.batch.source, first.decoded, difference.clamp(0, 1)])


def _sheet(titles: Sequence[str], columns: Sequence[Tensor]) -> Image.Image:
    return contact_sheet(column_rows(titles, [list(map(to_pil, column)) for column in columns]))
