from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.pictures.decoding import decode_file
from mimicbrush.pictures.writing import encode_sixteen_bits

LEVELS = np.random.default_rng(0).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def written(path: Path, levels: np.ndarray, *, text: PngInfo | None = None, icc_profile: bytes | None = None) -> Path:
    pixels = torch.from_numpy(levels.astype(np.float32) / 65535).permute(2, 0, 1)
    path.write_bytes(encode_sixteen_bits(pixels, text=text or PngInfo(), icc_profile=icc_profile))
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_every_bit_comes_back_and_opencv_agrees(tmp_path, channels):
    path = written(tmp_path / "deep.png", LEVELS[..., :channels])
    assert np.array_equal(decode_file(path).levels, LEVELS[..., :channels])
    by_opencv = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    assert np.array_equal(by_opencv, LEVELS[..., :3])


def test_text_and_colour_profile_are_read_by_pillow(tmp_path):
    text = PngInfo()
    text.add_text("mimicbrush", '{"seed": 3}')
    with Image.open(written(tmp_path / "deep.png", LEVELS, text=text, icc_profile=b"profile")) as picture:
        picture.load()
        assert picture.text == {"mimicbrush": '{"seed": 3}'}
        assert picture.info["icc_profile"] == b"profile"
