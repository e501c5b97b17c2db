from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image

from mimicbrush.pictures.jpeg_damage import find_jpeg_damage


def photograph(**options: object) -> bytes:
    """A JPEG of smooth random colours with noise."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3)).astype(np.uint8)).resize((256, 192))
    levels = np.clip(np.asarray(coarse) + generator.normal(0, 6, (192, 256, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).convert(options.pop("mode", "RGB")).save(file, "JPEG", **options)
    return file.getvalue()


def overwrite(encoded: bytes, content: bytes) -> bytes:
    """Replace bytes in the middle of the coded data."""
    middle = (encoded.rindex(b"\xff\xda") + len(encoded)) // 2
    return encoded[:middle] + content + encoded[middle + len(content) :]


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 4}, {"mode": "L"}, {"mode": "CMYK"}],
    ids=str,
)
def test_intact_pictures_pass(options: dict) -> None:
    encoded = photograph(**options)
    assert find_jpeg_damage(encoded) is None
    assert find_jpeg_damage(encoded + b"a program's own data") is None
    assert find_jpeg_damage(encoded[:-2] + bytes(512) + encoded[-2:]) is None  # padding, as some cameras write


@pytest.mark.parametrize("content", [bytes(400), b"junk" * 80, b"\xff\xd9"], ids=["zeros", "junk", "end"])
def test_damage_in_the_middle_is_found(content: bytes) -> None:
    damaged = overwrite(photograph(), content)
    Image.open(io.BytesIO(damaged)).load()  # Pillow does not mind
    assert find_jpeg_damage(damaged).startswith("damaged inside: ")
    encoded = photograph()
    assert find_jpeg_damage(encoded[: len(encoded) // 2] + encoded[len(encoded) // 2 + 600 :])


def test_other_formats_are_left_alone() -> None:
    assert find_jpeg_damage(b"\x89PNG no picture") is None


def test_what_is_printed_afterwards_is_seen(capfd: pytest.CaptureFixture) -> None:
    find_jpeg_damage(overwrite(photograph(), bytes(400)))
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
