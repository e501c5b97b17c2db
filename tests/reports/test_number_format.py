from __future__ import annotations

import math

import pytest

from mimicbrush.reports.number_format import format_bytes, format_interval, format_number
from mimicbrush.statistics import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (1, "1.000"), (1.001, "1.00"), (17.726, "17.73"), (-2.5, "-2.50"), (math.inf, "∞")],
)
def test_numbers_have_three_decimals_up_to_one_and_two_above(value, text):
    assert format_number(value) == text


def test_signs_are_written_for_differences():
    values = (0.5, 0, -0.5, math.inf, -math.inf)
    assert [format_number(value, sign="+") for value in values] == ["+0.500", "0.000", "-0.500", "+∞", "-∞"]
    assert format_interval(Interval(0.5, -0.25, 2, 9, 3), sign="+") == "+0.500 [-0.250, +2.00]"
    assert format_interval(None) == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "0.977 KiB"), (13.2 * 2**20, "13.2 MiB"), (2**50, "1.02e+03 TiB")],
)
def test_bytes_have_a_unit_that_fits(size, text):
    assert format_bytes(size) == text
