from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.metrics.edits import make_edit, score, value

MASK = np.zeros((60, 60), bool)
MASK[20:40, 20:40] = True


def flat(level: int) -> np.ndarray:
    return np.full((60, 60, 3), level, np.uint8)


def noise(seed: int, contrast: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(128 - contrast, 128 + contrast, (60, 60, 3)).astype(np.uint8)


def pasted(inside: np.ndarray, source: np.ndarray):
    return make_edit(source=source, mask=MASK, edited=np.where(MASK[..., None], inside, source))


def test_change_outside_forgives_the_feather_and_nothing_more():
    near, far = flat(100), flat(100)
    near[49, 25] = 0
    far[50, 25] = 93
    assert value(make_edit(source=flat(100), mask=MASK, edited=near), "change_outside") == 0
    assert value(make_edit(source=flat(100), mask=MASK, edited=far), "change_outside") == 7


@pytest.mark.parametrize(("width", "reach"), [(512, 10), (1024, 20), (1100, 22)])
def test_change_outside_forgives_more_in_larger_pictures(width, reach):
    source, mask = np.full((60, width, 3), 100, np.uint8), np.zeros((60, width), bool)
    mask[:, :100] = True
    near, far = source.copy(), source.copy()
    near[:, 100 : 100 + reach], far[:, 100 + reach] = 0, 93
    assert value(make_edit(source=source, mask=mask, edited=near), "change_outside") == 0
    assert value(make_edit(source=source, mask=mask, edited=far), "change_outside") == 7


def test_mean_change_outside_by_hand():
    far = flat(100)
    far[50, 25] = [93, 100, 102]
    # The mask with ten pixels around it covers 40 x 40 of 60 x 60.
    edit = make_edit(source=flat(100), mask=MASK, edited=far)
    assert value(edit, "mean_change_outside") == pytest.approx((7 + 2) / (3 * (60**2 - 40**2)))


def test_untouched_outside_is_preserved_exactly():
    edit = pasted(flat(0), noise(0, 100))
    assert value(edit, "change_outside") == value(edit, "mean_change_outside") == 0.0


def test_preservation_has_no_value_where_everything_is_near_the_mask():
    mask = np.ones((60, 60), bool)
    mask[0, 0] = False
    found = score(make_edit(source=flat(0), edited=flat(0), mask=mask), "mean_change_outside")
    assert found == (None, "every pixel lies within 10 pixels of the mask")


def test_seam_of_flat_pictures_by_hand():
    # Across the border all pairs differ by 30, beside it none does: (30 + 1) / (0 + 1).
    assert value(pasted(flat(130), flat(100)), "seam") == pytest.approx(31)


def test_untouched_picture_has_the_seam_of_the_source():
    source = noise(0, 50)
    assert value(make_edit(source=source, mask=MASK, edited=source), "seam") == 1


def test_seam_by_a_loop_over_pairs():
    edit = pasted(noise(1, 20), noise(0, 90))

    def prominence(picture: np.ndarray) -> float:
        across, beside = [], []
        for y, x in np.ndindex(60, 60):
            for other in ((y + 1, x), (y, x + 1)):
                if max(other) == 60:
                    continue
                difference = np.abs(picture[y, x].astype(float) - picture[other]).mean()
                if MASK[y, x] != MASK[other]:
                    across.append(difference)
                elif is_near(y, x) and is_near(*other):
                    beside.append(difference)
        return (np.mean(across) + 1) / (np.mean(beside) + 1)

    def is_near(y: int, x: int) -> bool:
        window = MASK[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9]
        return window.any() and not window.all()

    assert value(edit, "seam") == pytest.approx(prominence(edit.edited) / prominence(edit.source))


def test_stronger_texture_is_no_seam_and_a_shift_of_colour_is():
    source = noise(0, 20)
    assert value(make_edit(source=source, mask=MASK, edited=noise(1, 60)), "seam") == pytest.approx(1, abs=0.15)
    brighter = np.minimum(source.astype(int) + 60, 255).astype(np.uint8)
    assert value(pasted(brighter, source), "seam") > 2


def test_outline_that_lies_on_the_border_is_no_seam():
    source = np.where(MASK[..., None], noise(0, 20) + 60, noise(1, 20) - 60)
    repainted = np.where(MASK[..., None], noise(2, 20) + 60, source)
    assert value(make_edit(source=source, mask=MASK, edited=repainted), "seam") == pytest.approx(1, abs=0.1)


def test_feathered_seam_is_weaker_than_a_hard_one():
    ramp = np.clip((np.arange(60) - 12) / 16, 0, 1)
    weight = np.minimum.outer(np.minimum(ramp, ramp[::-1]), np.minimum(ramp, ramp[::-1]))[..., None]
    feathered = (weight * 160 + (1 - weight) * 100).astype(np.uint8)
    soft = value(make_edit(source=flat(100), mask=MASK, edited=feathered), "seam")
    assert 1 < soft < value(pasted(flat(160), flat(100)), "seam") / 10


def test_full_mask_has_no_seam():
    edit = make_edit(mask=np.ones((48, 60), bool))
    assert score(edit, "seam") == (None, "the mask has no border with pixels beside it")
