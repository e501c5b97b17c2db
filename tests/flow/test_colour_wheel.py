"""The colours are those of Middlebury's `colorcode.cpp`: published values, and its formula for each stretch."""

from __future__ import annotations

import numpy as np
import pytest

from mimicbrush.flow.colour_wheel import colour_flow, colour_key, colour_wheel


def test_the_wheel_is_as_published():
    """Steps from each colour to the next: 15 red, 6 yellow, 4 green, 11 cyan, 13 blue, 6 magenta."""
    wheel = colour_wheel()
    starts = {0: (255, 0, 0), 15: (255, 255, 0), 21: (0, 255, 0), 25: (0, 255, 255), 36: (0, 0, 255), 49: (255, 0, 255)}
    assert wheel.shape == (55, 3)
    for place, colour in starts.items():
        assert tuple(wheel[place]) == colour
    between = {1: (255, 17, 0), 14: (255, 238, 0), 16: (213, 255, 0), 22: (0, 255, 63), 26: (0, 232, 255)}
    between |= {37: (19, 0, 255), 48: (235, 0, 255), 50: (255, 0, 213), 54: (255, 0, 43)}
    for place, colour in between.items():
        assert tuple(wheel[place]) == colour


@pytest.mark.parametrize(
    ("right", "down", "colour"),
    [
        (0.0, 0.0, (255, 255, 255)),
        (1.0, 0.0, (255, 0, 0)),
        (0.5, 0.0, (255, 127, 127)),
        # A quarter of the 54 steps is 13.5, between (255, 221, 0) and (255, 238, 0).
        (0.0, 1.0, (255, 229, 0)),
        # Half of them is 27: cyan, two steps of 11 towards blue.
        (-1.0, 0.0, (0, 209, 255)),
        (0.0, -1.0, (88, 0, 255)),
        (2.0, 0.0, (191, 0, 0)),
        (np.nan, 0.0, (0, 0, 0)),
    ],
)
def test_directions_have_their_colours(right, down, colour):
    assert tuple(colour_flow(np.array([right, down]).reshape(2, 1, 1), longest=1.0)[0, 0]) == colour


def test_the_longest_flow_of_a_field_has_full_saturation():
    flow = np.zeros((2, 1, 3))
    flow[0, 0] = [0, 20, 40]
    assert colour_flow(flow)[0].tolist() == [[255, 255, 255], [255, 127, 127], [255, 0, 0]]
    assert (colour_flow(np.zeros((2, 2, 2))) == 255).all()


def test_the_key_shows_each_direction_where_it_points():
    key = colour_key(65)
    assert key[32, 64].tolist() == [255, 0, 0] and key[64, 32].tolist() == [255, 229, 0]
    assert key[32, 32].tolist() == key[0, 0].tolist() == [255, 255, 255]
