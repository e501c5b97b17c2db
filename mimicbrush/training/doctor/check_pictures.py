"""Contact sheets that `--check` writes."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mimicbrush.pictures.conversion import to_pil
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.training.doctor.first_batch import Trial

DIFFERENCE_GAIN = 4
"""Factor that makes the autoencoder's errors visible."""
BATCH = ("what the VAE sees", "mask, white: repaint", "shape map", "reference", "source = target")
ROUND_TRIP = ("source", "through the VAE", f"difference x {DIFFERENCE_GAIN}")


def batch_sheet(trial: Trial) -> Image.Image:
    """Show a row a pair: the source as the autoencoder sees it, mask channel, shape map, reference, target."""
    size = trial.batch.source.shape[-2:]
    brightest = trial.shape_map.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    columns = [trial.seen, trial.mask, trial.shape_map / brightest, trial.batch.reference, trial.batch.source]
    return _sheet(BATCH, [F.interpolate(column.float(), size).expand(-1, 3, -1, -1) for column in columns])


def round_trip_sheet(trial: Trial) -> Image.Image:
    """Show a row a picture: the source, decoded from its latent, the difference of the two enlarged."""
    difference = (trial.decoded - trial.batch.source).abs() * DIFFERENCE_GAIN
    return _sheet(ROUND_TRIP, [trial.batch.source, trial.decoded, difference.clamp(0, 1)])


def _sheet(titles: Sequence[str], columns: Sequence[Tensor]) -> Image.Image:
    return contact_sheet(column_rows(titles, [list(map(to_pil, column)) for column in columns]))
