"""Edits whose pictures are known."""

from __future__ import annotations

import numpy as np

from mimicbrush.benchmark_layout import SampleFacts
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score


def make_edit(*, seed: int = 0, **changes) -> EditedPicture:
    """Random pictures, and an L-shaped mask in which the edit differs from the source."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 60), bool)
    mask[10:30, 5:40] = True
    mask[10:20, 5:20] = False
    source = rng.integers(0, 256, (48, 60, 3), np.uint8)
    fields = {
        "source": source,
        "mask": mask,
        "edited": np.where(mask[..., None], rng.integers(0, 256, source.shape, np.uint8), source),
        "reference": rng.integers(0, 256, (20, 20, 3), np.uint8),
        "reference_mask": np.ones((20, 20), bool),
        "prompt": f"a toy of #texture {seed}#",
    }
    return EditedPicture(**(fields | changes))


TRUE_BOX = (slice(14, 28), slice(20, 36))
"""Rows and columns of the true object, inside the mask of `make_edit`."""


def make_true_edit(**changes) -> EditedPicture:
    """An edit that equals its truth: random pixels in the region, of which a box is the true object.

    The source's object begins 2 rows higher and is narrower.
    """
    edit = make_edit()
    truth, truth_mask, object_mask = edit.source.copy(), np.zeros((48, 60), bool), np.zeros((48, 60), bool)
    truth_mask[TRUE_BOX] = object_mask[12:28, 20:34] = True
    truth[edit.mask] = np.random.default_rng(5).integers(0, 256, (edit.mask.sum(), 3), np.uint8)
    facts = SampleFacts(scoring="exact", vocabulary="seen")
    given = {"truth": truth, "edited": truth, "truth_mask": truth_mask, "object_mask": object_mask, "facts": facts}
    return edit._replace(**(given | changes))


def score(edit: EditedPicture, name: str, models: Models | None = None) -> Score:
    """One metric of one edit."""
    return measure([edit], {name: METRICS[name]}, models or Models())[0][name]


def value(edit: EditedPicture, name: str, models: Models | None = None) -> float:
    """The number alone."""
    return score(edit, name, models).value
