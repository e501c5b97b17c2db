from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import mask_levels, on_white
from mimicbrush.pictures.decoding import decode_bytes, decode_file, turn_upright
from mimicbrush.pictures.edit_inputs import as_source
from mimicbrush.pictures.reading import read_image
from tests.pictures.odd_files import ALPHA, CLEAN, DEEP, PICTURES, deep_png, saved, with_alpha

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


def test_a_coloured_tiff_of_sixteen_bits_is_said_to_lose_some(tmp_path, caplog):
    decode_bytes(saved(LEVELS, "TIFF"))
    assert not caplog.text
    path = tmp_path / "deep.tif"
    path.write_bytes(PICTURES["rgb, 16 bits, tiff"]().encoded)
    decode_file(path)
    assert "deep.tif: of its 16 bits a channel 8 are used; export it as PNG to keep 16" in caplog.text


def test_a_profile_that_cannot_be_used_is_said(caplog):
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


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path):
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


def test_opaque_pixels_stay_bit_for_bit_on_white():
    channels = torch.rand(4, 20, 20)
    channels[3, :10] = 1
    assert torch.equal(on_white(channels)[:, :10], channels[:3, :10])
    assert torch.equal(on_white(torch.rand(4, 2, 2) * torch.tensor([1, 1, 1, 0.0])[:, None, None]), torch.ones(3, 2, 2))


def test_a_grey_masks_levels_come_out_exactly():
    levels = torch.arange(65536).float().reshape(1, 256, 256) / 65535
    assert torch.equal(mask_levels(levels.expand(3, -1, -1)), levels)


# --- A source's transparency ---------------------------------------------------------------------------------------


def cut_out():
    return as_source(Image.open(io.BytesIO(saved(with_alpha(CLEAN)))))


def test_an_untouched_cut_out_comes_back_bit_for_bit():
    source = cut_out()
    assert torch.equal(
        (source.restore(source.pixels) * 255).round(), torch.from_numpy(with_alpha(CLEAN)).permute(2, 0, 1)
    )


def test_a_repainted_cut_out_looks_on_white_as_it_was_repainted():
    source = cut_out()
    # Half-transparent pixels cannot be darker than half of white.
    repainted = 0.5 + source.pixels.flip(2) / 2
    restored = source.restore(repainted)
    assert torch.equal(restored[3:], torch.from_numpy(ALPHA / np.float32(255)).permute(2, 0, 1))
    visible = restored[3] > 0
    torch.testing.assert_close(on_white(restored)[:, visible], repainted[:, visible], rtol=0, atol=2e-3)
