from __future__ import annotations

import numpy as np

from data_prep.config import PairConfig
from data_prep.moments import sample_times


def test_times_rise_within_the_clip() -> None:
    times = sample_times(10.0, PairConfig(), np.random.default_rng(0))
    assert len(times) == 16
    assert times == sorted(times)
    assert 0.2 <= times[0] <= times[-1] <= 9.6
