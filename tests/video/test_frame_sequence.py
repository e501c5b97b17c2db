"""Frames of a folder of pictures, an animated picture, a still and a video file, by one function."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.frame_sequence import read_frame_sequence

FRAMES = torch.stack([torch.full((3, 32, 48), level) for level in (0.2, 0.5, 0.8)])


@pytest.mark.parametrize("name", ["frames", "a.png", "a.mp4"])
def test_a_folder_an_animation_and_a_video_have_the_same_frames(tmp_path, name):
    for number in (2, 0, 1):  # the order of names counts, not that of writing
        write_image(FRAMES[number], tmp_path / "frames" / f"{number}.png")
    write_frames(FRAMES, tmp_path / "a.png")
    write_h264(tmp_path / "a.mp4", [to_levels(frame) for frame in FRAMES], fps=12)
    frames, fps = read_frame_sequence(tmp_path / name, max_frames=3)
    assert frames.shape == FRAMES.shape and (frames - FRAMES).abs().max() < 0.02
    assert fps == (12 if name == "a.mp4" else None)
    with pytest.raises(UserError, match=r"has (3 frames, expected 1 to max_frames = 2|more than 2 frames)"):
        read_frame_sequence(tmp_path / name, max_frames=2)


def test_a_still_is_one_frame(tmp_path):
    write_image(FRAMES[0], tmp_path / "a.png")
    assert read_frame_sequence(tmp_path / "a.png", max_frames=1).frames.shape == (1, 3, 32, 48)


def test_folders_without_pictures_or_of_several_sizes_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no pictures; give a folder of frames"):
        read_frame_sequence(tmp_path, max_frames=3)
    write_image(FRAMES[0], tmp_path / "0.png")
    write_image(FRAMES[0, :, :20], tmp_path / "1.png")
    with pytest.raises(UserError, match=r"frames of several sizes \(48 x 20, 48 x 32\); export all at one size"):
        read_frame_sequence(tmp_path, max_frames=3)
