from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.records import duplicates
from data_prep.records.duplicates import find_near_duplicates, hash_thumbnails
from mimicbrush.pictures.perceptual_hash import perceptual_hash
from mimicbrush.video.decoded_clip import Thumbnail, shrink_luma
from tests.data_prep.conftest import texture


def film(seed: int, *, num: int = 60, start: float = 0.0, change: float = 1.0) -> list[Thumbnail]:
    """Thumbnails ten times a second of a camera that slowly moves over a picture."""
    picture = cv2.GaussianBlur(texture(seed, 200, 400)[..., 0], (0, 0), 4)
    windows = [picture[:, int(2 * (start * 10 + i)) :][:, :240] for i in range(num)]
    return [
        Thumbnail(i / 10, shrink_luma((window * change).astype(np.uint8)), False) for i, window in enumerate(windows)
    ]


def test_the_same_film_is_found_and_another_is_not() -> None:
    clips = {
        "first": film(0),
        "second": film(1),
        "first, darker": film(0, change=0.7),
        "first, cut": film(0, num=40, start=1.0),
        "third": film(2),
    }
    found = find_near_duplicates({name: hash_thumbnails(thumbnails) for name, thumbnails in clips.items()}, 0.5)
    assert {name: duplicate.of for name, duplicate in found.items()} == {
        "first, darker": "first",
        "first, cut": "first",
    }
    assert find_near_duplicates({name: hash_thumbnails(g) for name, g in clips.items()}, 1.1) == {}


def test_hashes_are_half_a_second_apart_and_flat_frames_have_none() -> None:
    assert len(hash_thumbnails(film(0))) == 13
    assert hash_thumbnails([Thumbnail(i / 10, np.full((36, 64), 9, np.uint8), False) for i in range(20)]) == []
    assert hash_thumbnails([]) == []
    (still,) = film(0, num=1)
    assert len(hash_thumbnails([still._replace(time=float(i)) for i in range(500)])) <= 48


def test_a_hash_bears_a_little_noise() -> None:
    thumbnail = film(3)[0]
    noisy = np.clip(thumbnail.luma + np.random.default_rng(0).normal(0, 3, (36, 64)), 0, 255).astype(np.uint8)
    one, other = (int(perceptual_hash(shown.luma), 16) for shown in (thumbnail, thumbnail._replace(luma=noisy)))
    assert (one ^ other).bit_count() <= 5


def test_each_clip_is_compared_with_earlier_ones_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    films = generator.integers(0, 2**64, (12, 10), np.uint64)
    clips: dict[str, list[str]] = {}
    for number in range(60):  # parts of twelve films, each frame with one wrong bit
        film, start = generator.integers(12), generator.integers(6)
        words = films[film, start : start + 5] ^ (np.uint64(1) << generator.integers(0, 64, 5, np.uint64))
        clips[f"{number} of {film}"] = [f"{word:016x}" for word in words]
    found = find_near_duplicates(clips, 0.5)

    kept: list[str] = []
    for name, words in clips.items():
        shares = {other: share(words, clips[other]) for other in kept}
        repeated = {other for other, value in shares.items() if value >= 0.5}
        assert (name in found) == bool(repeated)
        if repeated:
            assert found[name].of in repeated
            assert found[name].share == shares[found[name].of]
        else:
            kept.append(name)
    assert len(kept) > 12
    for name, value in {"MIN_DENSE": 0, "NUM_COMPARED_FIRST": 1, "NUM_COMPARED": 1}.items():
        monkeypatch.setattr(duplicates, name, value)
        assert find_near_duplicates(clips, 0.5) == found


def test_no_clips_have_no_duplicates() -> None:
    assert find_near_duplicates({}, 0.5) == find_near_duplicates({"short": ["0" * 16] * 2}, 0.5) == {}


def share(words: list[str], others: list[str]) -> float:
    """Share of the hashes that differ from one of the others in at most 5 bits."""
    near = [min((int(word, 16) ^ int(other, 16)).bit_count() for other in others) <= 5 for word in words]
    return sum(near) / len(near)
