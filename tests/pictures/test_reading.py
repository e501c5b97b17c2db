from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_image, read_levels, read_mask
from tests.pictures.odd_files import DEEP, deep_png, saved

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_an_unreadable_file_is_explained_in_one_sentence(tmp_path):
    cases = {
        "text.png": (b"no picture", r"text\.png: not a readable picture \(of no known format\)"),
        "empty.png": (b"", r"empty\.png: not a readable picture"),
        "half.png": (saved(LEVELS)[:60], r"half\.png: not a readable picture"),
        "half-deep.png": (deep_png(DEEP)[:900], r"half-deep\.png: not a readable picture"),
        "float.tif": (
            saved(Image.new("F", (4, 4)), "TIFF"),
            r"float\.tif has mode F, whose white is not known; export",
        ),
    }
    for name, (encoded, sentence) in cases.items():
        (tmp_path / name).write_bytes(encoded)
        with pytest.raises(UserError, match=sentence) as raised:
            read_image(tmp_path / name)
        assert "\n" not in str(raised.value)


def test_mask_is_read_as_zero_and_one(tmp_path):
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[[0, 0, 1, 1]]]


def test_unreadable_pictures_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png: not a readable picture"):
        read_image(tmp_path / "text.png")
    with pytest.raises(UserError, match=r"absent\.png: no such picture"):
        read_mask(tmp_path / "absent.png")


def test_white_of_sixteen_bits_is_65535(tmp_path):
    levels = np.linspace(0, 65535, 256 * 64).round().astype(np.uint16).reshape(128, 128)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    assert np.array_equal(read_levels(tmp_path / "grey.png")[0], np.round(levels / 257))
    torch.testing.assert_close(read_image(tmp_path / "grey.png")[1], torch.from_numpy(levels / 65535).float())
    assert np.array_equal(read_mask(tmp_path / "grey.png")[0], levels > 32767)
