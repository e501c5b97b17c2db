from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from mimicbrush.pictures.decoding import EncodedPicture, decode_bytes, decode_file, turn_upright
from tests.pictures.odd_files import DEEP, PICTURES, deep_png, saved, with_alpha

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_it_is_turned_upright_as_pillow_turns(orientation):
    image = Image.fromarray(LEVELS)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn_upright(LEVELS, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_bit_of_sixteen_is_kept(channels):
    levels = with_alpha(DEEP)[..., :channels]
    assert np.array_equal(decode_bytes(deep_png(levels)).levels, levels)


def test_the_lost_bits_of_a_sixteen_bit_coloured_tiff_are_warned_of(tmp_path, caplog):
    decode_bytes(saved(LEVELS, "TIFF"))
    assert not caplog.text
    path = tmp_path / "deep.tif"
    path.write_bytes(PICTURES["rgb, 16 bits, tiff"]().encoded)
    decode_file(path)
    assert "deep.tif: of its 16 bits a channel 8 are used; export it as PNG to keep 16" in caplog.text


def test_an_unusable_profile_is_warned_of(caplog):
    decode_bytes(PICTURES["cmyk with a broken profile"]().encoded)
    assert "colour profile cannot be used" in caplog.text


@pytest.mark.parametrize(
    ("image", "kept"),
    [
        (Image.fromarray(LEVELS), True),
        (Image.fromarray(LEVELS).convert("RGBA"), True),
        (Image.fromarray(LEVELS).quantize(8), True),
        (Image.fromarray(LEVELS).convert("L"), False),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_the_profile_of_rgb_is_kept(image, kept):
    assert decode_bytes(saved(image, icc_profile=b"profile")).icc_profile == (b"profile" if kept else None)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_at_a_fraction_that_is_large_enough(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph = Image.new("RGB", (800, 400), (200, 30, 60))
    width, height = (800, 400) if orientation == 1 else (400, 800)
    picture = EncodedPicture(saved(photograph, "JPEG", exif=exif))
    assert picture.upright_size == (width, height)
    levels = picture.decode(at_least=(width // 4 - 10, height // 4 - 10))
    assert levels.shape == (height // 4, width // 4, 3)
    assert np.abs(levels.astype(int) - (200, 30, 60)).max() <= 2
    whole = EncodedPicture(saved(photograph, "JPEG", exif=exif)).decode(at_least=(width // 2 + 10, height // 2 + 10))
    assert whole.shape == (height, width, 3)
