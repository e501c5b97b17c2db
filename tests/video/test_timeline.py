from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from mimicbrush.errors import UnusableInput
from mimicbrush.video.clip_reader import open_clip, probe, read_frames
from mimicbrush.video.decoded_clip import DecodedClip
from mimicbrush.video.pyav_decoder import with_stamps
from mimicbrush.video.timeline import Timeline, TimelinePart, split_at_jumps
from tests.data_prep.conftest import panning_frames
from tests.video.odd_clips import join, write_jpegs, write_with

FRAMES = panning_frames(4, num=60)


def numbers(clip: DecodedClip, truth: list[np.ndarray] = FRAMES) -> list[int]:
    """Which of the true frames those of a clip are."""
    return [int(np.argmin([np.abs(frame.image.astype(int) - each).mean() for each in truth])) for frame in clip.frames]


def shot_starts(clip: DecodedClip) -> list[float]:
    return [round(thumbnail.time, 3) for thumbnail in clip.thumbnails if thumbnail.starts_shot]


def test_a_gap_is_left_out_and_both_parts_are_used(tmp_path: Path) -> None:
    stamps = [40 * i + 3_600_000 * (i >= 30) for i in range(60)]
    clip = read_frames(
        write_jpegs(tmp_path / "gap.mkv", FRAMES, stamps), lambda end: np.linspace(0, 0.95 * end, 20), short_side=64
    )
    assert clip.info.duration == pytest.approx(2.4, abs=1e-3)
    assert numbers(clip) == [round(25 * frame.time) for frame in clip.frames]
    assert len(clip.frames) == 20
    assert shot_starts(clip) == [1.2]


def test_a_gap_inside_reordered_frames_is_found(tmp_path: Path) -> None:
    """The frame after the gap is stored before frames of before it."""
    stamps = np.array([0, 160, 80, 40, 120, 3600_200, 200, 3600_320, 3600_280, 3600_240]) / 1000
    groups = split_at_jumps(np.concatenate([stamps, 3600.4 + 0.04 * np.arange(30)]))
    assert [group[0] for group in groups] == pytest.approx([0.0, 3600.2])
    assert [group[-1] for group in groups] == pytest.approx([0.2, 3601.56])


def test_a_still_of_some_seconds_is_no_gap(tmp_path: Path) -> None:
    stamps = [40 * i + 9_000 * (i >= 30) for i in range(60)]
    clip = read_frames(write_jpegs(tmp_path / "still.mkv", FRAMES, stamps), [0.5, 5.0, 10.5], short_side=64)
    assert clip.info.duration == pytest.approx(11.4, abs=1e-3)
    assert numbers(clip) == [12, 29, 37]
    assert shot_starts(clip) == []


def test_joined_streams_whose_times_start_anew_follow_one_another(tmp_path: Path) -> None:
    first = write_with(tmp_path / "a.ts", FRAMES[:30], options={"bf": "3"})
    second = write_with(tmp_path / "b.ts", FRAMES[30:], options={"bf": "3"})
    path = join(tmp_path / "joined.ts", first, second, first)
    clip = read_frames(path, np.arange(90) / 25 + 0.001, short_side=64, exact=True)
    assert clip.info.duration == pytest.approx(3.6, abs=1e-3)
    assert numbers(clip) == [*range(60), *range(30)]
    assert shot_starts(clip) == [1.2, 2.4]


def test_joined_streams_without_reordered_frames_are_not_mixed(tmp_path: Path) -> None:
    """MPEG-2 allows reordering even where there is none."""
    parts = [write_with(tmp_path / f"{i}.ts", FRAMES[30 * i :][:30], "mpeg2video", options={"b": "4M"}) for i in (0, 1)]
    path = join(tmp_path / "joined.ts", *parts)
    clip = read_frames(path, np.arange(60) / 25 + 0.001, short_side=64, exact=True)
    assert numbers(clip) == [*range(60)]


def test_a_live_recording_without_a_duration_is_read(tmp_path: Path) -> None:
    options = {"bf": "3", "g": "15"}
    whole = write_with(tmp_path / "whole.mkv", FRAMES, options=options)
    live = write_with(tmp_path / "live.mkv", FRAMES, options=options, container={"live": "1"})
    assert probe(live).duration == pytest.approx(probe(whole).duration, abs=0.05)
    with open_clip(live, short_side=64, exact=True) as reader:
        clip = reader.read([0.1, 2.2])
    assert numbers(clip) == [round(25 * frame.time) for frame in clip.frames]
    # The reader went to a keyframe instead of decoding all.
    assert len(clip.thumbnails) < 40


def test_sound_that_goes_on_does_not_lengthen_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        video, sound = output.add_stream("mjpeg", rate=25), output.add_stream("pcm_s16le", rate=8000, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 64, "yuvj420p"
        for image in FRAMES:
            output.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for second in range(30):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = 8000, 8000 * second
            output.mux(sound.encode(silence))
    clip = read_frames(path, lambda duration: [0.1 * duration, 0.9 * duration], short_side=64)
    assert clip.info.duration == pytest.approx(2.4, abs=1e-3)
    assert numbers(clip) == [6, 54]


def test_missing_time_stamps_are_guessed() -> None:
    stamps = [(0, 0), (None, None), (80, 40), (None, 120), (None, 120)]
    frames = [SimpleNamespace(pts=pts, dts=dts, duration=40) for pts, dts in stamps]
    assert [frame.pts for frame in with_stamps(frames)] == [0, 40, 80, 120, 160]
    with pytest.raises(UnusableInput, match="no_times"):
        next(with_stamps([SimpleNamespace(pts=None, dts=None, duration=40)]))


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_times_rise_where_only_those_of_decoding_are_stored(tmp_path: Path, name: str) -> None:
    path = write_with(tmp_path / name, FRAMES, options={"bf": "3", "b_strategy": "0"})
    for exact in (True, False):
        clip = read_frames(path, np.arange(60) / 25 + 0.001, short_side=64, exact=exact)
        assert numbers(clip) == [round(25 * frame.time) for frame in clip.frames]
        assert [thumbnail.time for thumbnail in clip.thumbnails] == sorted(
            thumbnail.time for thumbnail in clip.thumbnails
        )
        assert len(clip.frames) == 60 or (name == "a.mp4" and not exact)


def test_a_regular_clip_needs_no_packet_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimicbrush.video.timeline.packet_stamps", lambda *_: pytest.fail("the packets were read"))
    for name in ("a.mp4", "a.mkv", "a.avi"):
        assert probe(write_with(tmp_path / name, FRAMES)).duration == pytest.approx(2.4, abs=0.05)


def test_the_timeline_finds_the_part_of_a_stamp() -> None:
    timeline = Timeline(
        [TimelinePart(1.0, 2.0, 0.0), TimelinePart(1.0, 2.0, 1.04), TimelinePart(50.0, 51.0, 2.08)], 3.12
    )
    assert not timeline.can_seek
    assert [timeline.move_to(stamp, is_seek=False) for stamp in (1.0, 2.0, 1.0, 1.5, 50.0)] == [
        (0.0, False),
        (1.0, False),
        (1.04, True),
        (1.54, False),
        (2.08, True),
    ]
    assert timeline.stamp_at(2.18) == pytest.approx(50.1)
