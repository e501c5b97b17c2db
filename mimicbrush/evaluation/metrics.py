"""What an edit is judged by: METRICS, each with its unit, its direction and the tracks that it applies to.

All are computed on 8-bit RGB at the source's own resolution. *Box* is the tight bounding box of the source mask; the
background inside it is not removed (paper, appendix A). The paper gives no truth on inter-ID: what compares with the
source there says how much of the source is left, and has no better direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from mimicbrush.evaluation.benchmark import Task, Track

SSIM_WINDOW = 11
HISTOGRAM_BINS = 8
FEATHER_REACH = 10
"""Pixels beyond the mask that a feathered paste-back may touch: the release blurs ten times with a 3 x 3 window."""


class Edit(NamedTuple):
    """An edited picture with all that it may be compared with."""

    source: NDArray[np.uint8]
    """(H, W, 3), the truth on inner-ID."""
    mask: NDArray[np.bool_]
    """(H, W), True where the edit happens."""
    edited: NDArray[np.uint8]
    """(H, W, 3)."""
    reference: NDArray[np.uint8]
    """(h, w, 3)."""
    reference_mask: NDArray[np.bool_] | None
    """(h, w), the part to imitate; None where the set has none."""
    prompt: str | None = None


class NotComputableError(Exception):
    """A metric has no value for this edit; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number for one edit. `compute` raises NotComputableError where there is none."""

    title: str
    unit: str
    better: Literal["higher", "lower"] | None
    """None: the number describes and does not judge."""
    tracks: frozenset[Track]
    meaning: str
    """One sentence for the report."""
    compute: Callable[[Edit], float]
    needs: frozenset = frozenset()
    model: str | None = None
    column: str | None = None


class Score(NamedTuple):
    """A metric's value for one edit (infinity counts), or None and the reason."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelsConfig:
    pass


class Models:
    def __init__(self, config, device="auto"):
        pass

    def missing(self, names):
        return {}

    def variant(self, name):
        return ""


def metrics_of(task: Task, track: Track) -> dict[str, Metric]:
    return {name: metric for name, metric in METRICS.items() if track in metric.tracks}


def measure(edits, metrics, models) -> list[dict[str, Score]]:
    return [{name: _score(metric, edit) for name, metric in metrics.items()} for edit in edits]


def _score(metric: Metric, edit: Edit) -> Score:
    try:
        return Score(metric.compute(edit))
    except NotComputableError as error:
        return Score(None, str(error))


def ssim_box(edit: Edit) -> float:
    """SSIM of edit and source in the box: 11 x 11 Gaussian window, mean of the RGB channels, 1 for equal pictures."""
    height, width = edit.mask.shape
    if min(height, width) < SSIM_WINDOW:
        raise NotComputableError(f"the picture is {width}x{height}, SSIM's window needs {SSIM_WINDOW} pixels")
    rows, columns = _box(edit.mask, at_least=SSIM_WINDOW)
    return float(
        structural_similarity(
            edit.edited[rows, columns],
            edit.source[rows, columns],
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def psnr_box(edit: Edit) -> float:
    """PSNR of edit and source in the box, in dB; infinite for equal pictures."""
    rows, columns = _box(edit.mask)
    return _psnr(edit.edited[rows, columns], edit.source[rows, columns])


def psnr_mask(edit: Edit) -> float:
    """PSNR of edit and source over the masked pixels alone, in dB; infinite for equal pictures."""
    return _psnr(edit.edited[edit.mask], edit.source[edit.mask])


def colour_distance(edit: Edit) -> float:
    """Hellinger distance, 0 to 1, of the edited region's colour histogram to that of the reference's masked part."""
    if edit.reference_mask is None:
        raise NotComputableError("the sample has no reference mask")
    edited = _histogram(edit.edited[edit.mask])
    reference = _histogram(edit.reference[edit.reference_mask])
    # The sum passes 1 by rounding where the histograms are equal.
    return float(np.sqrt(max(0.0, 1 - np.sqrt(edited * reference).sum())))


def change_outside(edit: Edit) -> float:
    """Largest change of a channel, in grey levels, further from the mask than a feathered border reaches."""
    window = np.ones((2 * FEATHER_REACH + 1,) * 2, np.uint8)
    outside = cv2.dilate(edit.mask.astype(np.uint8), window) == 0
    if not outside.any():
        raise NotComputableError(f"every pixel lies within {FEATHER_REACH} pixels of the mask")
    return float(np.abs(edit.edited[outside].astype(int) - edit.source[outside].astype(int)).max())


def _box(mask: NDArray[np.bool_], *, at_least: int = 1) -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box, each side grown to `at_least` pixels within the picture."""
    rows, columns = (_span(mask.any(axis=axis), at_least) for axis in (1, 0))
    return rows, columns


def _span(hit: NDArray[np.bool_], at_least: int) -> slice:
    first, last = np.flatnonzero(hit)[[0, -1]]
    length = max(int(last - first) + 1, at_least)
    start = (int(first) + int(last) + 1) // 2 - length // 2
    start = min(max(0, start), len(hit) - length)
    return slice(start, start + length)


def _psnr(edited: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    error = float(np.mean((edited.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 3) pixels to shares of joint RGB bins, eight a channel."""
    bins = (pixels // (256 // HISTOGRAM_BINS)).astype(int)
    index = np.ravel_multi_index(tuple(bins.T), (HISTOGRAM_BINS,) * 3)
    return np.bincount(index, minlength=HISTOGRAM_BINS**3) / len(pixels)


_INNER: frozenset[Track] = frozenset({"inner_id"})
_INTER: frozenset[Track] = frozenset({"inter_id"})

METRICS: dict[str, Metric] = {
    "ssim": Metric(
        title="SSIM",
        unit="",
        better="higher",
        tracks=_INNER,
        meaning="structural similarity of the edit and the truth in the mask's box; 1 for equal pictures",
        compute=ssim_box,
    ),
    "psnr": Metric(
        title="PSNR",
        unit="dB",
        better="higher",
        tracks=_INNER,
        meaning="peak signal-to-noise ratio of the edit against the truth in the mask's box",
        compute=psnr_box,
    ),
    "psnr_mask": Metric(
        title="PSNR in mask",
        unit="dB",
        better="higher",
        tracks=_INNER,
        meaning="the same over the masked pixels alone, without the untouched background inside the box",
        compute=psnr_mask,
    ),
    "colour_distance": Metric(
        title="Colour distance",
        unit="0 to 1",
        better="lower",
        tracks=_INTER,
        meaning="Hellinger distance of colour histograms, edited region against the reference's masked part: "
        "0 where the edit has the reference's colours in their shares",
        compute=colour_distance,
    ),
    "source_ssim": Metric(
        title="SSIM with the source",
        unit="",
        better=None,
        tracks=_INTER,
        meaning="agreement with the source, not quality: inter-ID has no truth, and a copy of the source scores 1",
        compute=ssim_box,
    ),
    "source_psnr": Metric(
        title="PSNR with the source",
        unit="dB",
        better=None,
        tracks=_INTER,
        meaning="agreement with the source, not quality",
        compute=psnr_box,
    ),
    "change_outside": Metric(
        title="Change outside",
        unit="levels",
        better="lower",
        tracks=_INNER | _INTER,
        meaning=f"largest change further than {FEATHER_REACH} pixels from the mask, in grey levels of 255; 0 is best",
        compute=change_outside,
    ),
}
"""Every metric by name, in the order of the tables."""
