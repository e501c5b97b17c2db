from __future__ import annotations

import numpy as np
from PIL import Image

from mimicbrush.reports.mask_outline import OUTLINE, outline_mask


def test_outline_runs_around_the_mask_and_not_over_it():
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:30] = True
    shown = np.array(outline_mask(Image.new("RGB", (40, 40)), mask))
    line = (shown == OUTLINE).all(axis=2)
    assert line.sum() == 12 * 22 - 10 * 20
    assert not line[mask].any() and line[9, 9] and line[20, 30]
