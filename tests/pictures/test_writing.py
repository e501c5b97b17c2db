from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.pictures.decoding import decode_bytes, decode_file, levels_of
from mimicbrush.pictures.reading import read_image
from mimicbrush.pictures.writing import encode_jpeg, encode_png, write_image, write_png

LEVELS = np.random.default_rng(0).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def written(
    path: Path, levels: np.ndarray, *, texts: dict[str, str] | None = None, icc_profile: bytes | None = None
) -> Path:
    pixels = torch.from_numpy(levels.astype(np.float32) / 65535).permute(2, 0, 1)
    write_png(pixels, path, texts=texts or {}, icc_profile=icc_profile, is_deep=True)
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_every_bit_comes_back_and_opencv_agrees(tmp_path, channels):
    path = written(tmp_path / "deep.png", LEVELS[..., :channels])
    assert np.array_equal(decode_file(path).levels, LEVELS[..., :channels])
    by_opencv = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    assert np.array_equal(by_opencv, LEVELS[..., :3])


def test_text_and_colour_profile_are_read_by_pillow(tmp_path):
    texts = {"mimicbrush": '{"seed": 3}'}
    with Image.open(written(tmp_path / "deep.png", LEVELS, texts=texts, icc_profile=b"profile")) as picture:
        picture.load()
        assert picture.text == texts
        assert picture.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 3), (6, 9, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_encoded_png_decodes_to_what_it_was(shape, dtype):
    levels = LEVELS.astype(dtype)[..., 0] if len(shape) == 2 else LEVELS.astype(dtype)[..., : shape[2]]
    assert np.array_equal(np.squeeze(decode_bytes(encode_png(levels)).levels), levels)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_an_encoded_pil_picture_decodes_to_its_levels(mode):
    image = Image.fromarray((LEVELS >> 8).astype(np.uint8)).convert(mode)
    assert np.array_equal(decode_bytes(encode_png(image)).levels, levels_of(image))


def test_an_encoded_mask_is_black_and_white():
    mask = LEVELS[..., 0] > 30_000
    assert np.array_equal(decode_bytes(encode_png(mask)).levels[..., 0], mask * np.uint8(255))


def test_a_jpeg_keeps_its_colours_in_order_and_is_smaller_with_half_the_chroma():
    red = np.full((64, 64, 3), (200, 30, 60), np.uint8)
    assert np.abs(decode_bytes(encode_jpeg(red, quality=95)).levels.astype(int) - red).max() <= 3
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_jpeg(noise, quality=90, halve_chroma=True)) < 0.8 * len(encode_jpeg(noise, quality=90))


def test_written_picture_reads_back_to_the_grey_level(tmp_path):
    image = torch.rand(3, 9, 7)
    write_image(image, tmp_path / "new" / "image.png")
    assert (read_image(tmp_path / "new" / "image.png") - image).abs().max() <= 0.5001 / 255
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["image.png"]
