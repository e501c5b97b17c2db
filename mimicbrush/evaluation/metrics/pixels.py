"""Metrics of pixels: SSIM and PSNR against the source, and colour histograms against source and reference.

The background inside the mask's box is not removed (paper, appendix A). Inter-ID has no truth: there, agreement with
the source shows how much of it is left, and neither direction is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from mimicbrush.evaluation.metrics.masked_crops import box
from mimicbrush.evaluation.metrics.score import EditedPicture

SSIM_WINDOW = 11
HISTOGRAM_BINS = 8


def ssim_box(edit: EditedPicture) -> float:
    """SSIM of edit and source in the box: 11 x 11 Gaussian window, mean of the RGB channels, 1 for equal pictures."""
    return compute_ssim(edit.edited, edit.source, edit.mask)[0]


def ssim_mask(edit: EditedPicture) -> float:
    """SSIM as in `ssim_box`, averaged over the masked pixels only."""
    return compute_ssim(edit.edited, edit.source, edit.mask)[1]


def psnr_box(edit: EditedPicture) -> float:
    """PSNR of edit and source in the box, in dB; infinite for equal pictures."""
    crop = box(edit.mask)
    return compute_psnr(edit.edited[crop], edit.source[crop])


def psnr_mask(edit: EditedPicture) -> float:
    """PSNR of edit and source over the masked pixels only, in dB; infinite for equal pictures."""
    return compute_psnr(edit.edited[edit.mask], edit.source[edit.mask])


def colour_distance(edit: EditedPicture) -> float:
    """Hellinger distance, 0 to 1, between the colours of the edited region and of the reference's masked part."""
    return compare_colours(edit.edited[edit.mask], edit.reference[edit.reference_mask])


def colour_distance_truth(edit: EditedPicture) -> float:
    """Hellinger distance, 0 to 1, between the colours of the edited region and of the source in the same place."""
    return compare_colours(edit.edited[edit.mask], edit.source[edit.mask])


def compute_ssim(edited: NDArray[np.uint8], truth: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean SSIM of two pictures over the mask's box, and over its masked pixels alone.

    Raises NotComputableError where the pictures are smaller than SSIM's window.
    """
    crop = box(mask, at_least=SSIM_WINDOW, needed_by="SSIM's window")
    mean, similarity = structural_similarity(
        edited[crop],
        truth[crop],
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean), float(similarity[mask[crop]].mean())


def compute_psnr(edited: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """PSNR of pixels of 8 bits, in dB; infinite for equal ones."""
    error = float(np.mean((edited.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def compare_colours(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Hellinger distance, 0 to 1, between the colour histograms of two sets of pixels, (N, 3) each."""
    # The sum may exceed 1 by rounding if the histograms are equal.
    return float(np.sqrt(max(0.0, 1 - np.sqrt(_histogram(first) * _histogram(second)).sum())))


def _histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the shares of (N, 3) pixels in joint RGB bins, eight for each channel."""
    bins = (pixels // (256 // HISTOGRAM_BINS)).astype(int)
    index = np.ravel_multi_index(tuple(bins.T), (HISTOGRAM_BINS,) * 3)
    return np.bincount(index, minlength=HISTOGRAM_BINS**3) / len(pixels)
