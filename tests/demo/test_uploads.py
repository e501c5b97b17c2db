from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.config import Limits
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.uploads import PREVIEW_SIDE, accept, compare
from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_channels
from mimicbrush.pictures.writing import write_image
from tests.demo.conftest import write_picture


def shown(path: Path, folder: Path, *, limits: Limits | None = None, **options: object) -> PaintedPicture:
    return accept(PaintedPicture(picture=path), limits or Limits(), folder, **options)


def refusal(path: Path, folder: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        shown(path, folder, **options)
    return str(caught.value)


def without_pixels(path: Path, width: int, height: int) -> Path:
    """A PNG whose header has this size."""
    Image.new("1", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["photograph.jpg", "cutout.png"])
def test_only_what_an_edit_changes_differs_in_a_large_picture(tmp_path, name):
    small = np.random.default_rng(0).integers(0, 256, (200, 260, 3 if name.endswith("jpg") else 4), np.uint8)
    Image.fromarray(small).resize((2600, 2000), Image.Resampling.BICUBIC).save(tmp_path / name, quality=90)
    edited = read_channels(tmp_path / name)
    edited[:3, 500:900, 650:1300] = 1 - edited[:3, 500:900, 650:1300]
    edited[3:, 500:900, 650:1300] = 1
    write_image(edited, tmp_path / "edited.png")
    left, top, width, height = json.loads(compare(tmp_path / name, tmp_path / "edited.png", tmp_path).part)["box"]
    assert (left, top) == pytest.approx((0.25, 0.25), abs=2e-3)
    assert (width, height) == pytest.approx((0.25, 0.2), abs=4e-3)


def test_a_preview_is_upright_and_small(tmp_path):
    image = Image.new("RGB", (2000, 100))
    image.paste((255, 0, 0), (0, 0, 1000, 100))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees when shown
    image.save(tmp_path / "turned.jpg", exif=exif)
    painting = shown(tmp_path / "turned.jpg", tmp_path)
    preview = Image.open(painting.previews["picture"])
    assert painting.size == (100, 2000) and preview.size == (PREVIEW_SIDE // 20, PREVIEW_SIDE)
    assert preview.getpixel((30, 100))[0] > 200 > 50 > preview.getpixel((30, 1200))[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_that_can_be_edited_can_be_shown(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    if mode == "I;16":
        Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80) * 13).save(path)
    else:
        write_picture(path, mode=mode)
    if mode in ("RGBA", "LA"):
        image = Image.open(path)
        image.putalpha(100)
        image.save(path)
    painting = shown(path, tmp_path)
    assert painting.size == (80, 60)
    assert Image.open(painting.previews["picture"]).mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")


def test_an_unusable_upload_is_refused_in_a_sentence_without_its_folder(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    write_picture(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:3000])
    write_picture(tmp_path / "thin.png", size=(1, 50))
    write_picture(tmp_path / "small.png", size=(31, 50))
    write_picture(tmp_path / "tape.png", size=(20_000, 100))
    without_pixels(tmp_path / "bomb.png", 60_000, 60_000)
    for name, options, sentence in (
        ("text.png", {}, r"text\.png: not a readable picture"),
        ("half.png", {}, r"half\.png: not a readable picture"),
        ("thin.png", {}, r"thin\.png: the picture is 1 x 50 pixels, expected at least 2 a side"),
        ("tape.png", {}, r"tape\.png: 20000 x 100 pixels, too narrow to be painted on"),
        ("tape.png", {"is_reference": True}, r"tape\.png: 20000 x 100 pixels, too narrow"),
        ("bomb.png", {}, r"bomb\.png: too large to be read"),
        ("small.png", {"is_reference": True}, r"small\.png: the reference is 31 x 50 pixels, expected at least 32"),
    ):
        message = refusal(tmp_path / name, tmp_path, **options)
        assert re.match(sentence, message) and str(tmp_path) not in message


def test_limits_are_checked_before_decoding(tmp_path):
    path = without_pixels(tmp_path / "wide.png", 20_000, 4000)
    assert "20000 x 4000 pixels, expected at most 64 million" in refusal(path, tmp_path)
    (tmp_path / "heavy.png").write_bytes(b"0" * 1_000_001)
    assert "larger than 1 MB" in refusal(tmp_path / "heavy.png", tmp_path, limits=Limits(upload_mb=1))


def with_mask(folder: Path, mask: Image.Image) -> PaintedPicture:
    mask.save(folder / "mask.png")
    painting = PaintedPicture(picture=write_picture(folder / "p.png"), mask=folder / "mask.png")
    return accept(painting, Limits(), folder)


def test_an_uploaded_mask_gets_a_preview(tmp_path):
    mask = Image.new("L", (80, 60))
    mask.paste(255, (5, 5, 30, 20))
    preview = Image.open(with_mask(tmp_path, mask).previews["mask"])
    assert preview.getchannel("A").getbbox() == (5, 5, 30, 20)


def test_a_mask_of_another_size_but_the_same_shape_is_scaled(tmp_path):
    picture = write_picture(tmp_path / "picture.png", size=(161, 120))
    half = Image.new("L", (80, 60))
    half.paste(255, (20, 10, 40, 30))
    half.save(tmp_path / "mask.png")
    painting = accept(PaintedPicture(picture=picture, mask=tmp_path / "mask.png"), Limits(), tmp_path)
    levels = np.asarray(Image.open(painting.mask).convert("L"))
    assert levels.shape == (120, 161) and set(np.unique(levels)) == {0, 255}
    assert levels[22:58, 42:79].all() and abs((levels > 0).sum() - 40 * 40) < 100


@pytest.mark.parametrize(
    ("size", "colour", "named"),
    [
        ((80, 60), 0, "is empty"),
        ((80, 60), 255, "is all white"),
        ((60, 80), 255, "the mask is 60 x 80 pixels and the picture 80 x 60"),
    ],
)
def test_an_unusable_mask_is_refused(tmp_path, size, colour, named):
    with pytest.raises(UserError, match=rf"mask\.png: .*{named}"):
        with_mask(tmp_path, Image.new("L", size, colour))
