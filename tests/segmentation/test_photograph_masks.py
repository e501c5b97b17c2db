from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UnusableInput
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photograph_masks import check_area, make_masker
from mimicbrush.segmentation.photographs import ScaledPhotograph
from tests.evaluation.build.conftest import SIZE, disc_mask, write_photograph


@pytest.fixture
def picture(tmp_path) -> ScaledPhotograph:
    write_photograph(tmp_path / "a.png")
    return ScaledPhotograph("a.jpg", Image.open(tmp_path / "a.png").convert("RGB"), SIZE)


def masker(seed: int = 0, **options):
    return make_masker(PhotographMaskConfig(**options), ["a.jpg"], seed=seed)


def boxes(tmp_path, **entry):
    (tmp_path / "regions.json").write_text(json.dumps({"a.jpg": entry}))
    return tmp_path / "regions.json"


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("given", [True, False], ids=["given box", "central box"])
def test_grabcut_finds_the_disc_and_finds_it_again(picture, tmp_path, given):
    options = {"regions": boxes(tmp_path, box=[30, 35, 115, 115])} if given else {}
    first, second = (masker(method="grabcut", **options).mask(picture) for _ in range(2))
    assert first.shape == SIZE[::-1] and np.array_equal(first, second)
    assert overlap(first, disc_mask()) > 0.97


def test_grabcut_of_the_whole_picture_is_unusable(picture, tmp_path):
    with pytest.raises(UnusableInput, match="grabcut_failed"):
        masker(method="grabcut", regions=boxes(tmp_path, box=[0, 0, *SIZE])).mask(picture)


def test_box_is_the_mask_at_the_limited_size(picture, tmp_path):
    small = ScaledPhotograph("a.jpg", picture.image.resize((80, 70)), SIZE)
    mask = masker(method="box", regions=boxes(tmp_path, box=[20, 40, 60, 100])).mask(small)
    expected = np.zeros((70, 80), bool)
    expected[20:50, 10:30] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [({"box": [0, 0, 500, 9]}, "bad_region"), ({"box": [9, 9, 9, 20]}, "bad_region"), ({"clicks": [[3, 4]]}, "no_box")],
)
def test_regions_that_do_not_do_are_unusable(picture, tmp_path, entry, reason):
    with pytest.raises(UnusableInput, match=reason):
        masker(method="box", regions=boxes(tmp_path, **entry)).mask(picture)


def test_photographs_are_known_by_their_region_or_mask_file(tmp_path):
    (tmp_path / "a.png").touch()
    regions = boxes(tmp_path, box=[1, 2, 30, 40])
    told = [{"method": "box", "regions": regions}, {"regions": regions}, {"method": "files", "folder": tmp_path}]
    for options in told:
        assert masker(**options).can_mask("a.jpg") and not masker(**options).can_mask("b.jpg")
    assert masker(method="grabcut").can_mask("b.jpg")


def test_mask_file_is_taken_as_drawn_and_shrunk_with_its_photograph(picture, tmp_path):
    Image.fromarray(disc_mask().astype(np.uint8) * 255).save(tmp_path / "a.png")
    files = masker(method="files", folder=tmp_path)
    assert np.array_equal(files.mask(picture), disc_mask())
    small = files.mask(ScaledPhotograph("a.jpg", picture.image.resize((80, 70)), SIZE))
    assert small.shape == (70, 80) and abs(small.mean() - disc_mask().mean()) < 0.005
    assert files.describe("a.jpg")["method"] == "files"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no picture", "mask_unreadable"),
        (np.zeros((7, 7), np.uint8), "mask_size"),
        (np.full(SIZE[::-1], 100, np.uint8), "mask_grey"),
    ],
)
def test_bad_mask_files_are_unusable(picture, tmp_path, content, reason):
    if isinstance(content, bytes):
        (tmp_path / "a.png").write_bytes(content)
    else:
        Image.fromarray(content).save(tmp_path / "a.png")
    with pytest.raises(UnusableInput, match=reason):
        masker(method="files", folder=tmp_path).mask(picture)


@pytest.mark.parametrize(("share", "reason"), [(0, "mask_empty"), (0.05, "mask_small"), (0.7, "mask_large")])
def test_area_has_bounds(share, reason):
    mask = np.zeros((10, 100), bool)
    mask[:, : round(100 * share)] = True
    with pytest.raises(UnusableInput, match=reason):
        check_area(mask, PhotographMaskConfig(min_area=0.1, max_area=0.6))
    check_area(mask | (np.arange(100) < 30) if share < 0.7 else mask, PhotographMaskConfig(min_area=0.1, max_area=0.8))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"method": "files"}, "masks.folder"),
        ({"method": "sam"}, "masks.regions"),
        ({"method": "box"}, "masks.regions"),
        ({"central_box": 1.0}, "masks.central_box"),
        ({"min_area": 0.9, "max_area": 0.1}, "masks.min_area"),
    ],
)
def test_settings_that_do_not_fit_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        PhotographMaskConfig(**options)
