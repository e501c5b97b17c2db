from __future__ import annotations

import pytest
from PIL import Image

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import sha256
from mimicbrush.segmentation.photographs import (
    PhotographFile,
    list_photographs,
    read_picture,
)


def read(path, *, max_side=1024, min_side=16):
    photograph = PhotographFile(file=path.name, path=path, sha256=sha256(path), origin={})
    return read_picture(photograph, max_side=max_side, min_side=min_side)


def test_photographs_are_listed_by_relative_path_with_what_is_known_of_them(make_photographs, tmp_path):
    folder = make_photographs("dog/00.jpg", "dog/01.PNG", "cat/00.jpg", ".hidden/00.jpg", "dog/.00.jpg")
    (folder / "licences.txt").write_text("CC0")
    (tmp_path / "metadata.csv").write_text("file,licence\ndog/00.jpg,CC0\n")
    found = list_photographs(folder, tmp_path / "metadata.csv")
    assert list(found) == ["cat/00.jpg", "dog/00.jpg", "dog/01.PNG"]
    assert found["dog/00.jpg"].origin == {"licence": "CC0"} and found["cat/00.jpg"].origin == {}


def test_photographs_that_would_share_a_mask_are_refused(make_photographs):
    with pytest.raises(UserError, match=r"dog/00: there in more than one format"):
        list_photographs(make_photographs("dog/00.jpg", "dog/00.png"))


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no photographs"):
        list_photographs(tmp_path)


def test_orientation_is_applied_before_the_limit(tmp_path):
    image = Image.new("RGB", (300, 100), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    picture = read(tmp_path / "a.jpg", max_side=150)
    assert picture.full_size == (100, 300) and picture.image.size == (50, 150)
    assert picture.scale == 0.5 and not picture.image.getexif()


def test_unusable_files_say_why(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("RGB", (200, 10)).save(tmp_path / "flat.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    Image.new("F", (64, 64)).save(tmp_path / "float.tif")
    for name, reason in (
        ("text.jpg", "unreadable"),
        ("cut.png", "unreadable"),
        ("float.tif", "unreadable"),
        ("flat.png", "too_small"),
    ):
        with pytest.raises(UnusableInput) as caught:
            read(tmp_path / name)
        assert caught.value.reason == reason
        assert str(tmp_path) not in caught.value.detail
