"""Frames of a folder: their order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.video.frame_folder import decode_frame_folder, list_frames, warn_of_transparency


def write(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        Image.fromarray(np.full((4, 6, 3), 10 * number, np.uint8)).save(folder / name)


def test_numbers_count_by_their_value(tmp_path):
    names = [f"frame{number}.png" for number in range(1, 12)]
    write(tmp_path, *names)
    (tmp_path / "notes.txt").write_text("mine")
    files = list_frames(tmp_path)
    assert [file.name for file in files] == names
    assert [frame[0, 0, 0] for frame in decode_frame_folder(tmp_path, files)] == [10 * number for number in range(11)]


def test_what_is_no_clip_is_named(tmp_path, caplog):
    with pytest.raises(UserError, match="holds no pictures; give a folder of frames, or a clip"):
        list_frames(tmp_path)
    write(tmp_path, "1.png", "2.png", "9.png", "10.png")
    with pytest.raises(UserError, match=r"frames are missing between 2\.png and 9\.png"):
        list_frames(tmp_path)
    Image.new("RGBA", (5, 4), (9, 9, 9, 99)).save(tmp_path / "2.png")
    with pytest.raises(UserError, match=r"has frames of several sizes \(5 x 4, 6 x 4\); export all at one size"):
        decode_frame_folder(tmp_path, [tmp_path / "1.png", tmp_path / "2.png"])
    warn_of_transparency(tmp_path, decode_frame_folder(tmp_path, [tmp_path / "1.png"]))
    assert not caplog.text
    warn_of_transparency(tmp_path, decode_frame_folder(tmp_path, [tmp_path / "2.png"]))
    assert "transparent parts of its frames are taken as white" in caplog.text
