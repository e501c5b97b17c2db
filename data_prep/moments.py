"""Choose the moments of a clip at which frames are read."""

from __future__ import annotations

import numpy as np

from data_prep.config import PairConfig


def sample_times(duration: float, config: PairConfig, generator: np.random.Generator) -> list[float]:
    """Draw `frames_per_shot` random times within the clip, in seconds, rising.

    The first 2 % and the last 4 % are left out, as containers often state a slightly longer duration than they hold.
    """
    return sorted(generator.uniform(0.02 * duration, 0.96 * duration, config.frames_per_shot).tolist())
