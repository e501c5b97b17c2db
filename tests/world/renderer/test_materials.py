"""Materials: names, fixed scale and phase, seeds of stochastic ones."""

from __future__ import annotations

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.materials import Material, material_named
from mimicbrush.world.renderer.named_colours import COLOURS, PARTNERS, rgb_of
from mimicbrush.world.renderer.patterns import PATTERNS, PERIOD
from mimicbrush.world.renderer.textures import TEXTURES

AXIS = np.linspace(-1, 1, 201)
X, Y = np.meshgrid(AXIS, AXIS)


def test_stripes_have_a_fixed_period_and_phase():
    stripes = Material("striped", ("red", "white"))
    at = np.array([[0.0, PERIOD / 2, PERIOD, 1.5 * PERIOD]])
    np.testing.assert_array_equal(
        stripes.colours_at(at, 0 * at, step=0.01), [[rgb_of(name) for name in ("red", "white", "red", "white")]]
    )


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "plain"])
def test_patterns_show_both_colours_and_are_continuous(pattern):
    share = PATTERNS[pattern].share(X, Y)
    assert 0 <= share.min() < 0.1
    assert 0.9 < share.max() <= 1
    assert 0.15 < share.mean() < 0.85
    fine = PATTERNS[pattern].share(np.linspace(-1, 1, 20_001)[None], np.full((1, 20_001), 0.123))
    assert np.abs(np.diff(fine)).max() < 0.02


@pytest.mark.parametrize("name", ["red", "red striped", "red and blue striped", "brick", "white marbled"])
def test_names_are_read_as_they_are_written(name):
    assert material_named(name).name == name


def test_every_colour_has_a_partner_and_no_two_patterns_look_alike():
    assert set(PARTNERS) == set(COLOURS)
    assert all(first != second for first, second in PARTNERS.items())
    shares = np.stack([pattern.share(X, Y).ravel() for name, pattern in PATTERNS.items() if name != "plain"])
    assert np.abs(np.corrcoef(shares) - np.eye(len(shares))).max() < 0.75


@pytest.mark.parametrize("name", [*(name for name in PATTERNS if PATTERNS[name].is_stochastic), *TEXTURES])
def test_seeds_change_stochastic_materials_alone(name):
    colours = ("green", "white") if name in PATTERNS else ()
    first, second = (Material(name, colours, seed=seed) for seed in (1, 2))
    assert first.is_stochastic
    assert first.name == second.name
    first, again, second = (each.colours_at(X, Y, step=0.01) for each in (first, first, second))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).mean() > 0.01
    stripes = [Material("striped", ("red", "white"), seed=seed).colours_at(X, Y, step=0.01) for seed in (1, 2)]
    np.testing.assert_array_equal(*stripes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("golden", "golden: no such pattern; known are"),
        ("red tartan", "tartan: no such pattern; known are plain, striped"),
        ("golden striped", "golden: no such colour; known are red"),
        ("very red striped", "'very red striped': not a material; write"),
    ],
)
def test_unknown_words_are_named(name, message):
    with pytest.raises(UserError, match=message):
        material_named(name)
