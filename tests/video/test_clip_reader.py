from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import skimage

from mimicbrush.errors import UnusableInput
from mimicbrush.video.clip_reader import open_clip, probe, read_frames
from mimicbrush.video.decoded_clip import Thumbnail
from mimicbrush.video.decord_reader import decord
from tests.data_prep.conftest import (
    SIDE,
    panning_frames,
    real_data,
    write_audio_only,
    write_clip,
    write_damaged,
    write_truncated,
)

DECODERS = ["pyav", pytest.param("decord", marks=pytest.mark.skipif(decord is None, reason="decord is not installed"))]


def reason_of(path: Path, decoder: str = "auto") -> str:
    with pytest.raises(UnusableInput) as caught:
        read_frames(path, [0.1, 0.4, 0.7], short_side=SIDE, decoder=decoder)
    return caught.value.reason


@pytest.mark.parametrize("decoder", DECODERS)
def test_frames_are_those_on_screen_at_their_times(tmp_path: Path, decoder: str) -> None:
    clip = write_clip(tmp_path / "a.mp4", seed=1)
    decoded = read_frames(clip, [0.9, 0.0, 0.43], short_side=SIDE, decoder=decoder, exact=True)
    frames = decoded.frames
    assert [round(frame.time * 24) for frame in frames] == [0, 10, 21]
    for frame, number in zip(frames, (0, 10, 21), strict=True):
        errors = [np.abs(frame.image.astype(int) - truth).mean() for truth in panning_frames(1)]
        assert int(np.argmin(errors)) == number
    assert decoded.decoder == decoder


def test_seeking_gives_the_frames_that_decoding_all_gives(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", seed=2, num=96)
    times = [0.05, 0.5, 1.2, 2.6, 3.9]
    together = read_frames(clip, times, short_side=SIDE, decoder="pyav").frames
    alone = [read_frames(clip, [time], short_side=SIDE, decoder="pyav").frames[0] for time in times]
    for one, other in zip(together, alone, strict=True):
        assert one.time == other.time
        assert np.array_equal(one.image, other.image)


def test_a_frame_is_given_once_and_the_end_gives_none(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    assert len(read_frames(clip, [0.5, 0.501, 0.502, 7.0], short_side=SIDE, decoder="pyav").frames) == 1
    assert len(read_frames(clip, [0.5, 0.501, 0.502, 7.0], short_side=SIDE).frames) == 1


@pytest.mark.parametrize("decoder", DECODERS)
def test_stretches_together_give_what_one_reading_gives(tmp_path: Path, decoder: str) -> None:
    clip = write_clip(tmp_path / "long.mp4", seed=2, num=96)
    stretches = [0.05, 0.5], [0.51, 1.2], [], [2.6, 3.9, 7.0]
    options = {"short_side": SIDE, "decoder": decoder, "exact": True}
    whole = read_frames(clip, [time for times in stretches for time in times], **options)
    with open_clip(clip, **options) as reader:
        parts = [reader.read(times) for times in stretches]
    frames, thumbnails = ([each for part in parts for each in getattr(part, kind)] for kind in ("frames", "thumbnails"))
    assert [len(part.frames) for part in parts] == [2, 1, 0, 2]
    assert [frame.time for frame in frames] == [frame.time for frame in whole.frames]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(frames, whole.frames, strict=True))
    assert [thumbnail.time for thumbnail in thumbnails] == [thumbnail.time for thumbnail in whole.thumbnails]
    assert parts[0].info == whole.info


def test_frames_decoded_on_the_way_are_kept_if_asked_for(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", seed=1)
    asked: list[int] = []

    def keep(thumbnail: Thumbnail) -> bool:
        asked.append(round(24 * thumbnail.time))
        return asked[-1] % 3 == 0

    with open_clip(clip, short_side=SIDE, decoder="pyav", exact=True) as reader:
        parts = [reader.read(times, keep=keep) for times in ([4 / 24], [5 / 24, 10 / 24], [0.99])]
    assert asked == list(range(24))
    assert [[round(24 * frame.time) for frame in part.frames] for part in parts] == [
        [0, 3, 4],
        [5, 6, 9, 10],
        [12, 15, 18, 21, 23],
    ]
    for frame in (frame for part in parts for frame in part.frames):
        errors = [np.abs(frame.image.astype(int) - truth).mean() for truth in panning_frames(1)]
        assert int(np.argmin(errors)) == round(24 * frame.time)


def test_frames_are_scaled_by_their_short_side_and_never_enlarged(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    assert read_frames(clip, [0.5], short_side=32).frames[0].image.shape == (32, 32, 3)
    assert read_frames(clip, [0.5], short_side=500).frames[0].image.shape == (SIDE, SIDE, 3)


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32] = 220  # bright above
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(90)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    info = probe(path)
    assert (info.width, info.height) == (64, 96)
    image = read_frames(path, [0.0], short_side=64).frames[0].image
    assert image.shape == (96, 64, 3)
    # FFmpeg's rotation counts anticlockwise: what was above is left after a quarter turn that way.
    assert image[:, :24].mean() - image[:, -24:].mean() > 150


def test_bad_files_have_their_reason(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    assert reason_of(empty) == "unreadable"
    assert reason_of(text) == "unreadable"
    assert reason_of(tmp_path / "missing.mp4") == "unreadable"
    assert reason_of(write_audio_only(tmp_path / "audio.mp4")) == "no_video_stream"
    assert reason_of(write_truncated(tmp_path / "cut.mp4")) == "corrupt_frames"


def test_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pq.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"x264-params": "transfer=smpte2084"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for image in panning_frames(0, num=4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    assert reason_of(path) == "hdr"


def test_pyav_refuses_damaged_frames(tmp_path: Path) -> None:
    clip = write_damaged(tmp_path / "rot.mp4")
    with pytest.raises(UnusableInput) as caught:
        read_frames(clip, np.linspace(0, 0.95, 12), short_side=SIDE, decoder="pyav")
    assert caught.value.reason == "corrupt_frames"


def test_opencv_reads_png_beside_decord() -> None:
    """Loaded in the wrong order, decord's zlib breaks OpenCV's PNG reader."""
    picture = Path(skimage.__file__).parent / "data" / "chelsea.png"
    code = f"import mimicbrush.video.clip_reader, cv2; raise SystemExit(cv2.imread({str(picture)!r}) is None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


ODD = {
    "av1_video.mkv": None,
    "bt709_full_range.mp4": None,
    "corrupted.mp4": "corrupt_frames",
    "h264_10bits.mp4": None,
    "h265_video.mp4": None,
    "unordered.mov": None,
    "video_180.mov": None,
    "video_90.mov": None,
}


@pytest.mark.parametrize("name", ODD)
def test_real_odd_clips_are_read_or_named(name: str) -> None:
    path = real_data("videos_odd") / name
    if ODD[name]:
        times = np.linspace(0.1, 4.5, 8)
        with pytest.raises(UnusableInput) as caught:
            read_frames(path, times, short_side=SIDE)
        assert caught.value.reason == ODD[name]
        return
    info = probe(path)
    times = np.linspace(0, 0.9 * info.duration, 3)
    frames, others = (
        read_frames(path, times, short_side=SIDE, decoder=decoder, exact=True).frames for decoder in ("auto", "pyav")
    )
    assert len(frames) == 3
    for frame, other in zip(frames, others, strict=True):
        assert frame.image.shape[1] / frame.image.shape[0] == pytest.approx(info.width / info.height, rel=0.03)
        assert frame.time == pytest.approx(other.time, abs=1e-3)
        assert np.abs(frame.image.astype(int) - other.image).mean() < 4


@pytest.mark.skipif(decord is None, reason="decord is not installed")
def test_rotation_agrees_with_decord_on_a_real_clip() -> None:
    path = real_data("videos_odd") / "video_90.mov"
    ours, theirs = (
        read_frames(path, [0.0], short_side=160, decoder=name).frames[0].image for name in ("pyav", "decord")
    )
    assert np.abs(ours.astype(int) - theirs).mean() < 4
