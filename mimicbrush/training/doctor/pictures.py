"""What `--check` leaves to look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mimicbrush.data.preview import join_panels
from mimicbrush.training.doctor.trial import Trial
from mimicbrush.training.previews import title_strip

DIFFERENCE_GAIN = 4
"""So that an eye sees the autoencoder's errors."""
MIN_SIDE = 192
"""Smaller pictures are enlarged, pixel by pixel."""
BATCH = ("what the VAE sees", "mask, white: repaint", "shape map", "reference", "source = target")
ROUND_TRIP = ("source", "through the VAE", f"difference x {DIFFERENCE_GAIN}")


def batch_sheet(trial: Trial) -> Tensor:
    """(3, H, W): a row a pair: the source as the autoencoder sees it, mask channel, shape map, reference, target."""
    size = trial.batch.source.shape[-2:]
    brightest = trial.shape_map.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    columns = [trial.seen, trial.mask, trial.shape_map / brightest, trial.batch.reference, trial.batch.source]
    return _sheet(BATCH, [F.interpolate(column.float(), size).expand(-1, 3, -1, -1) for column in columns])


def round_trip_sheet(trial: Trial) -> Tensor:
    """(3, H, W): a row a picture: the source, decoded from its latent, the difference of the two enlarged."""
    difference = (trial.decoded - trial.batch.source).abs() * DIFFERENCE_GAIN
    return _sheet(ROUND_TRIP, [trial.batch.source, trial.decoded, difference.clamp(0, 1)])


def _sheet(titles: Sequence[str], columns: list[Tensor]) -> Tensor:
    times = -(-MIN_SIDE // columns[0].shape[-1])
    columns = [F.interpolate(column.cpu(), scale_factor=times) for column in columns]
    heading = title_strip(titles, columns[0].shape[-1]).chunk(len(titles), dim=2)
    rows = [join_panels(list(row), dim=2) for row in (heading, *zip(*columns, strict=True))]
    return join_panels(rows, dim=1)
