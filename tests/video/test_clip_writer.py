from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mimicbrush.video.clip_reader import probe, read_frames
from mimicbrush.video.clip_writer import open_h264, write_h264
from tests.data_prep.conftest import panning_frames


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    frames = [np.ascontiguousarray(frame[:48]) for frame in panning_frames(0, num=8)]
    write_h264(tmp_path / "a.mp4", iter(frames), fps=8)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.codec) == (64, 48, "h264")
    assert info.duration == pytest.approx(1.0)
    read = read_frames(tmp_path / "a.mp4", [0.0, 0.5], short_side=48, exact=True).frames
    for frame, number in zip(read, (0, 4), strict=True):
        errors = [np.abs(frame.image.astype(int) - written).mean() for written in frames]
        assert int(np.argmin(errors)) == number


def test_settings_and_pixel_format_are_those_asked_for(tmp_path: Path) -> None:
    settings = {"g": "2", "keyint_min": "2", "sc_threshold": "0", "threads": "1"}
    grey = np.full((3 * 32 // 2, 64), 128, np.uint8)
    with open_h264(tmp_path / "a.mp4", fps=5, frame_format="yuv420p", settings=settings) as write_frame:
        for _ in range(6):
            write_frame(grey)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
        assert [(frame.width, frame.height) for frame in frames] == [(64, 32)] * 6
        assert [bool(frame.key_frame) for frame in frames] == [True, False] * 3


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    """With AVX-512, one encoding in 3 to 50 had other bytes before `cpu-independent` was set."""
    frames = list(panning_frames(0, num=24))
    written = set()
    for _ in range(40):
        write_h264(tmp_path / "a.mp4", frames, fps=12)
        written.add((tmp_path / "a.mp4").read_bytes())
    assert len(written) == 1
