from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from mimicbrush.sixteen_bits import encode_sixteen_bits, read_sixteen_bits

LEVELS = np.random.default_rng(0).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def written(path: Path, levels: np.ndarray, *, text: PngInfo | None = None, icc_profile: bytes | None = None) -> Path:
    pixels = torch.from_numpy(levels.astype(np.float32) / 65535).permute(2, 0, 1)
    path.write_bytes(encode_sixteen_bits(pixels, text=text or PngInfo(), icc_profile=icc_profile))
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_every_bit_comes_back_and_opencv_agrees(tmp_path, channels):
    path = written(tmp_path / "deep.png", LEVELS[..., :channels])
    assert np.array_equal(read_sixteen_bits(path), LEVELS[..., :channels])
    by_opencv = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    assert np.array_equal(by_opencv, LEVELS[..., :3])


def test_text_and_colour_profile_are_read_by_pillow(tmp_path):
    text = PngInfo()
    text.add_text("mimicbrush", '{"seed": 3}')
    with Image.open(written(tmp_path / "deep.png", LEVELS, text=text, icc_profile=b"profile")) as picture:
        picture.load()
        assert picture.text == {"mimicbrush": '{"seed": 3}'}
        assert picture.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright_as_pillow_turns(tmp_path, orientation):
    """Levels are multiples of 257, which Pillow's 8 bits hold, too."""
    grey = Image.fromarray((LEVELS[..., 0] >> 8).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    deep.save(tmp_path / "turned.png", exif=exif)
    grey.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(grey)).astype(np.uint16) * 257
    assert np.array_equal(read_sixteen_bits(tmp_path / "turned.png"), expected)


def test_other_pictures_are_left_to_pillow_and_deep_tiffs_are_warned_of(tmp_path, caplog):
    shallow = Image.fromarray((LEVELS >> 8).astype(np.uint8))
    for name in ("shallow.png", "shallow.tif"):
        shallow.save(tmp_path / name)
        assert read_sixteen_bits(tmp_path / name) is None
    assert not caplog.text
    cv2.imwrite(str(tmp_path / "deep.tif"), LEVELS[..., :3])
    assert read_sixteen_bits(tmp_path / "deep.tif") is None
    assert "deep.tif: of its 16 bits a channel 8 are used; export it as PNG" in caplog.text
