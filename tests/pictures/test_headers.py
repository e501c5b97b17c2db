from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.pictures.decoding import decode_file
from mimicbrush.pictures.headers import Header, read_header
from mimicbrush.pictures.writing import write_frames, write_png


def test_a_header_tells_size_format_frames_and_texts(tmp_path):
    write_png(torch.rand(3, 6, 9), tmp_path / "a.png", texts={"mimicbrush": "{}"}, icc_profile=None)
    assert read_header(tmp_path / "a.png") == Header(9, 6, "PNG", 1, {"mimicbrush": "{}"})
    write_frames(torch.rand(3, 3, 6, 9), tmp_path / "clip.png")
    assert read_header(tmp_path / "clip.png").num_frames == 3


def test_a_header_is_read_even_if_the_pixels_are_truncated(tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:700])
    assert read_header(tmp_path / "half.jpg")[:3] == (300, 200, "JPEG")


def test_a_missing_file_or_one_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, sentence in (
        ("absent.png", r"absent\.png: no such picture"),
        ("text.png", r"text\.png: not a readable picture \(of no known format\)"),
        (".", r": is a folder; expected a picture|not a readable picture \(.*denied"),
    ):
        with pytest.raises(UserError, match=sentence):
            read_header(tmp_path / name)


def test_headers_are_read_without_torch():
    """In its own process: other tests have imported torch."""
    code = "import sys, mimicbrush.pictures.headers; print({'torch', 'cv2', 'numpy'} & sys.modules.keys())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_heic_is_read_or_named_in_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf")
    with monkeypatch.context() as patch:
        patch.setattr("mimicbrush.pictures.headers.READS_HEIC", False)
        with pytest.raises(
            UserError, match=r"photo\.heic: a HEIC picture; export it as JPEG or PNG, or let `pip install"
        ):
            read_header(path)
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    image = Image.new("RGB", (64, 32), (200, 40, 30))
    image.paste((20, 60, 200), (0, 0, 32, 32))
    pillow_heif.from_pillow(image).save(path, quality=-1)
    image.save(tmp_path / "photo.avif", quality=95)
    for name, form in (("photo.heic", "HEIF"), ("photo.avif", "AVIF")):
        assert read_header(tmp_path / name)[:4] == (64, 32, form, 1)
        levels = decode_file(tmp_path / name).levels.astype(int)
        assert np.abs(levels[16, 16] - (20, 60, 200)).max() < 12 and np.abs(levels[16, 48] - (200, 40, 30)).max() < 12
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="not a readable picture") as raised:
        decode_file(path)
    assert "\n" not in str(raised.value)
