from __future__ import annotations

import pytest

from mimicbrush.demo.config import Limits
from mimicbrush.demo.number_fields import MAX_SEED, check_number_fields
from mimicbrush.errors import UserError


def test_numbers_get_the_types_of_the_config():
    checked = check_number_fields({"seed": 5.0, "num_images": 2, "guidance_scale": 2.5, "keep_shape": True}, Limits())
    assert checked == {"seed": 5, "num_images": 2, "guidance_scale": 2.5, "keep_shape": True}
    assert type(checked["seed"]) is int
    assert check_number_fields({"seed": MAX_SEED}, Limits())["seed"] == MAX_SEED == int(float(MAX_SEED))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"seed": -5}, f"Seed is -5, expected a whole number from 0 to {MAX_SEED}"),
        ({"seed": 1.5}, "Seed is 1.5, expected a whole number"),
        ({"seed": None}, "Seed is empty, expected a whole number"),
        ({"seed": float("inf")}, "Seed is inf, expected a whole number"),
        ({"num_images": float("nan")}, "Results is nan, expected a whole number from 1 to 4"),
        ({"num_inference_steps": 101}, "Steps is 101, expected a whole number from 1 to 100"),
        ({"guidance_scale": 21}, "Guidance is 21, expected a number from 1 to 20"),
        ({"guidance_scale": "x"}, "Guidance is x, expected a number from 1 to 20"),
    ],
)
def test_a_number_beyond_its_bounds_is_named_by_its_label(setting, sentence):
    with pytest.raises(UserError) as caught:
        check_number_fields(setting, Limits())
    assert str(caught.value).startswith(sentence)
