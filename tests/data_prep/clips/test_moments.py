from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from data_prep.clips.moments import FurtherFrames, Stretch, drop_further, plan_stretches, sample_times
from data_prep.config import PairConfig
from mimicbrush.video.decoded_clip import Frame, Thumbnail

AREA = 1280 * 720


def thumbnails(*levels: int, fps: float = 12.0) -> list[Thumbnail]:
    return [Thumbnail(i / fps, np.full((36, 64), level, np.uint8), after_gap=False) for i, level in enumerate(levels)]


def test_times_rise_within_the_clip() -> None:
    times = sample_times(Stretch(0.0, 10.0), 10.0, PairConfig(), np.random.default_rng(0))
    assert len(times) == 16
    assert times == sorted(times)
    assert 0.2 <= times[0] <= times[-1] <= 9.6


def test_a_short_clip_is_one_stretch_and_a_longer_one_is_read_all_over() -> None:
    assert plan_stretches(18.0, AREA, PairConfig()) == ([Stretch(0.0, 18.0)], 1)
    stretches, total = plan_stretches(85.0, AREA, PairConfig())
    assert (len(stretches), total) == (8, 8)
    assert stretches[0].start == 0
    assert stretches[-1].end == pytest.approx(85.0)
    assert all(earlier.end == later.start for earlier, later in pairwise(stretches))


@pytest.mark.parametrize(("area", "num"), [(AREA, 27), (1920 * 1080, 12), (3840 * 2160, 3)])
def test_a_long_film_is_read_in_part_spread_over_it(area: int, num: int) -> None:
    stretches, total = plan_stretches(3600.0, area, PairConfig())
    assert (len(stretches), total) == (num, 300)
    starts = [stretch.start for stretch in stretches]
    assert starts[0] < 3600 / num
    assert np.diff(starts) == pytest.approx(3600 / num, abs=12.1)


def test_times_of_a_stretch_lie_within_it() -> None:
    times = sample_times(Stretch(24.0, 36.0), 120.0, PairConfig(), np.random.default_rng(0))
    assert 24 <= times[0] <= times[-1] <= 36


def test_of_a_long_film_no_more_is_left_out_at_its_ends_than_of_a_short_clip() -> None:
    first, last = (
        sample_times(Stretch(0.0, 600.0), 600.0, PairConfig(frames_per_shot=4000), np.random.default_rng(0))[i]
        for i in (0, -1)
    )
    assert first < 1
    assert last > 599


def test_further_frames_are_kept_from_the_start_and_after_a_cut() -> None:
    clip = thumbnails(*[40] * 24, *[140] * 240)
    keep = FurtherFrames(PairConfig(frames_per_shot=16))
    kept = [thumbnail.time for thumbnail in clip if keep(thumbnail)]
    after = [time for time in kept if time >= 2]
    assert (kept[0], after[0]) == (0, 2)
    steps = np.diff(after)
    assert steps[0] < 0.1
    assert (np.diff(steps) > -0.1).all()
    assert steps[-1] > 3
    assert [sum(time < 2 + length for time in after) for length in (0.45, 1.5, 6)] == [4, 7, 10]


def test_frames_at_the_random_moments_are_told_from_further_ones() -> None:
    clip = thumbnails(*[40] * 24)
    frames = [Frame(thumbnail.time, np.zeros((4, 4, 3), np.uint8)) for thumbnail in clip[::2]]
    assert [frame.time for frame in drop_further(frames, [0.4, 1.0], clip)] == [4 / 12, 1.0]
