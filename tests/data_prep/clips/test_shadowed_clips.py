"""Clips of a still picture, and of a thing that moves, under shadows of leaves with hard edges."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.clips.clip_to_pairs import read_clip
from data_prep.config import PairConfig, VideoShardConfig
from data_prep.sharding.parallel_sharding import Outcome
from mimicbrush.video.clip_writer import write_h264
from tests.data_prep.conftest import texture

HEIGHT, WIDTH, NUM = 128, 192, 32
DETAIL = cv2.resize(np.random.default_rng(0).normal(0, 8, (64, 96, 1)), (WIDTH, HEIGHT))[..., None]
STILL = 90 + 0.35 * texture(0, HEIGHT, WIDTH) + DETAIL
LEAVES = cv2.GaussianBlur(np.random.default_rng(3).normal(size=(HEIGHT, WIDTH + 2 * NUM)), (0, 0), 8)


def read(folder: Path, pictures: list[np.ndarray], **pairs: float) -> Outcome:
    """Pairs of a clip of these pictures under shadows that move two pixels in each of eight frames a second."""
    frames = []
    for number, picture in enumerate(pictures):
        shadow = LEAVES[:, 2 * number : 2 * number + WIDTH] / LEAVES.std()
        light = 1 - 0.5 / (1 + np.exp(-shadow.clip(-2, 2) / 0.05))
        frames.append((picture * light[..., None]).clip(0, 255).astype(np.uint8))
    write_h264(folder / "clip.mp4", frames, fps=8)
    config = VideoShardConfig(videos=folder, output=folder, pairs=PairConfig(**pairs))
    return read_clip("clip.mp4", folder / "clip.mp4", metadata={}, config=config)


def with_thing(number: int) -> np.ndarray:
    picture = STILL.copy()
    picture[36:84, 4 * number : 4 * number + 48] = texture(7, 48, 48)
    return picture


def test_a_still_under_leaves_gives_no_pair_but_by_the_rule_of_the_paper(tmp_path: Path) -> None:
    outcome = read(tmp_path, [STILL] * NUM)
    assert not outcome.pairs
    assert outcome.record["dropped_pairs"]["too_alike"] > 20
    assert read(tmp_path, [STILL] * NUM, min_changed=0).pairs


def test_a_thing_that_moves_under_leaves_gives_pairs(tmp_path: Path) -> None:
    outcome = read(tmp_path, [with_thing(number) for number in range(NUM)])
    assert len(outcome.pairs) == 8


@pytest.mark.parametrize("first", [20])
def test_pairs_show_a_visitor_under_leaves_in_one_of_two_frames(tmp_path: Path, first: int) -> None:
    pictures = [with_thing(number) if number >= first else STILL for number in range(NUM)]
    outcome = read(tmp_path, pictures)
    assert outcome.pairs
    assert all(max(pair.origin["times"]) >= first / 8 for pair in outcome.pairs)
