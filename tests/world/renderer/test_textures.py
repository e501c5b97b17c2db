"""Photographed surfaces, and pictures of a user's folder as materials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from mimicbrush.errors import UserError
from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS
from mimicbrush.pictures.writing import write_image
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.texture_folder import materials_in
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS, TEXTURES

X, Y = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64))


def test_a_background_photograph_fills_the_square_with_its_middle():
    last = 511 / 512
    seen = Material("astronaut").colours_at(*np.meshgrid([-last, last], [-last, last]), step=1 / 256)
    corners = skimage.data.astronaut()[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(2, 2, 3) / 255
    np.testing.assert_allclose(seen, corners, atol=1e-6)


def test_coarse_steps_show_averages():
    fine, coarse = (Material("gravel", seed=3).colours_at(X, Y, step=step) for step in (1 / 100, 1 / 4))
    assert coarse.std() < 0.6 * fine.std()
    assert coarse.mean() == pytest.approx(fine.mean(), abs=0.05)


def test_materials_of_held_out_photographs_say_so():
    held_out = {name for name in (*TEXTURES, *BACKGROUND_PHOTOGRAPHS) if Material(name).is_held_out}
    assert {"gravel", "wooden", "furry", "chelsea", "rocket"} <= held_out
    assert not held_out & {"brick", "grass", "galaxy", "astronaut", "coins"}
    assert not BACKGROUNDS["a checkered floor"].is_held_out
    assert {TEXTURES[name].photograph for name in TEXTURES} <= SKIMAGE_PHOTOGRAPHS.keys()


def test_pictures_of_a_folder_become_materials(tmp_path: Path):
    halves = np.full((80, 100, 3), (20, 60, 100), np.uint8)
    halves[:, 50:] = 200, 180, 160
    write_image(halves, tmp_path / "Blue Denim.png")
    write_image(halves, tmp_path / "brick.png")
    write_image(halves[:20, :20], tmp_path / "tiny.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    materials, unusable = materials_in(tmp_path)
    assert list(materials) == ["blue-denim"]
    assert {name: error.reason for name, error in unusable.items()} == {
        "brick.png": "name_taken",
        "tiny.png": "too_small",
        "broken.png": "unreadable",
    }
    denim = materials["blue-denim"]
    assert (denim.name, denim.is_stochastic, denim.is_held_out) == ("blue-denim", True, False)
    colours = denim.colours_at(8 * X, Y, step=1 / 64)
    np.testing.assert_allclose(colours.min(axis=(0, 1)), np.array((20, 60, 100)) / 255, atol=1e-6)
    np.testing.assert_allclose(colours.max(axis=(0, 1)), np.array((200, 180, 160)) / 255, atol=1e-6)


def test_a_folder_without_usable_pictures_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no such folder"):
        materials_in(tmp_path / "missing")
    with pytest.raises(UserError, match="expected pictures of surfaces, found no picture file"):
        materials_in(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"found broken\.png: "):
        materials_in(tmp_path)
