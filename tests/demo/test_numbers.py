from __future__ import annotations

import pytest

from mimicbrush.demo.config import Limits
from mimicbrush.demo.numbers import MAX_SEED, check_numbers
from mimicbrush.errors import UserError


def test_numbers_have_the_types_of_the_shells():
    told = check_numbers({"seed": 5.0, "num_images": 2, "guidance_scale": 2.5, "keep_shape": True}, Limits())
    assert told == {"seed": 5, "num_images": 2, "guidance_scale": 2.5, "keep_shape": True}
    assert type(told["seed"]) is int
    assert check_numbers({"seed": MAX_SEED}, Limits())["seed"] == MAX_SEED == int(float(MAX_SEED))


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
def test_what_is_beyond_its_bounds_is_named_as_on_the_page(setting, sentence):
    with pytest.raises(UserError) as caught:
        check_numbers(setting, Limits())
    assert str(caught.value).startswith(sentence)
