from __future__ import annotations

import errno
import gc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from mimicbrush.errors import UnusableInput
from mimicbrush.video.clip_reader import open_clip, probe, read_frames
from mimicbrush.video.decord_reader import decord
from mimicbrush.video.display_geometry import find_axes, read_display_matrix
from mimicbrush.video.pyav_container import explain_error
from mimicbrush.video.pyav_reader import open_with_pyav
from tests.data_prep.conftest import panning_frames
from tests.video.odd_clips import join, weave, write_jpegs, write_with

# Grey, as the colours of two fields mix when frames are made.
PICTURES = [np.repeat(picture[..., 1:2], 3, axis=2) for picture in panning_frames(1, num=48, step=3, side=128)]
WOVEN = [weave(*PICTURES[i : i + 2]) for i in range(0, 48, 2)]


def errors(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(image.astype(int) - truth).mean())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", {"crf": "12", "bf": "2"}), ("a.mpg", "mpeg2video", {"b": "4M", "bf": "2"})],
)
def test_interlaced_clips_have_no_combs(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], exact: bool
) -> None:
    path = write_with(tmp_path / name, WOVEN, codec, options=options, interlaced=True)
    # Frames at times and frames that are kept on the way, the very first among them.
    with open_clip(path, short_side=128, exact=exact) as reader:
        frames = reader.read([0.5, 0.9], keep=lambda thumbnail: thumbnail.time < 0.2).frames
    assert frames[0].time == 0
    assert len(frames) >= 3
    for frame in frames:
        number = round(25 * frame.time)
        assert frame.deinterlaced
        assert errors(WOVEN[number], PICTURES[2 * number]) > 5
        assert errors(frame.image, PICTURES[2 * number]) < 3.5


def test_first_frames_keep_their_still_detail(tmp_path: Path) -> None:
    """Without a frame before it, an interlaced frame is compared with the one after it."""
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[::4] = 200
    path = write_with(tmp_path / "a.mp4", [picture] * 6, options={"crf": "4"}, interlaced=True)
    assert errors(read_frames(path, [0.0], short_side=128).frames[0].image, picture) < 4


def test_interlaced_frames_after_progressive_ones_are_deinterlaced(tmp_path: Path) -> None:
    first = write_with(tmp_path / "a.ts", PICTURES[:24], options={"crf": "12"})
    path = join(tmp_path / "b.ts", first, write_with(tmp_path / "c.ts", WOVEN, options={"crf": "12"}, interlaced=True))
    progressive, frame = read_frames(path, [0.5, 24 / 25 + 0.5], short_side=128, exact=True).frames
    assert (progressive.deinterlaced, frame.deinterlaced) == (False, True)
    assert errors(frame.image, PICTURES[2 * round(25 * frame.time - 24)]) < 3.5


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("a.mov", "qtrle", "argb"), ("a.webm", "libvpx-vp9", "yuva420p")]
)
def test_hidden_colours_are_white(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    frames = [np.dstack([picture, np.full((128, 128), 255, np.uint8)]) for picture in PICTURES[:8]]
    for frame in frames:
        frame[:, :64, 3] = 0
    path = write_with(
        tmp_path / name,
        frames,
        codec,
        pixels=pixels,
        source="rgba",
        options={"auto-alt-ref": "0"} if codec != "qtrle" else {},
    )
    clip = read_frames(path, [0.1, 0.25], short_side=128)
    assert len(clip.frames) == 2
    for frame in clip.frames:
        assert frame.image[:, :60].min() > 250
        assert errors(frame.image[:, 68:], PICTURES[round(25 * frame.time)][:, 68:]) < 8
    assert all(thumbnail.luma[:, :28].min() > 245 for thumbnail in clip.thumbnails)


def test_each_size_is_a_shot_of_its_own(tmp_path: Path) -> None:
    wide = [picture[:72] for picture in PICTURES[:20]]
    tall = [picture[:, :96] for picture in PICTURES[20:40]]
    path = write_jpegs(tmp_path / "a.mkv", [*wide, *tall], [40 * i for i in range(40)])
    clip = read_frames(path, [0.3, 1.3], short_side=48, exact=True)
    assert [frame.image.shape[:2] for frame in clip.frames] == [(48, 85), (64, 48)]
    assert [round(25 * thumbnail.time) for thumbnail in clip.thumbnails if thumbnail.starts_shot] == [20]
    assert (clip.info.width, clip.info.height) == (128, 72)


@pytest.mark.parametrize(("codec", "options", "width"), [("libx264", {"bf": "3"}, 128), ("mpeg2video", {}, 142)])
def test_an_aspect_that_changes_holds_from_its_first_frame_on(
    tmp_path: Path, codec: str, options: dict[str, str], width: int
) -> None:
    """MPEG-2 without B-frames says that it has some, so its frames are held back until their times are sure.

    It knows 2.21 to 1 and not 2 to 1.
    """
    parts = [
        write_with(tmp_path / f"{i}.ts", PICTURES[:20], codec, options=options, aspect=aspect)
        for i, aspect in enumerate((Fraction(1), Fraction(2)))
    ]
    clip = read_frames(join(tmp_path / "a.ts", *parts), np.arange(40) / 25 + 0.001, short_side=64, exact=True)
    assert [frame.image.shape[1] for frame in clip.frames] == [64] * 20 + [width] * 20


@pytest.mark.parametrize("rotation", [3, 93])
def test_a_small_tilt_does_not_squash_the_picture(tmp_path: Path, rotation: int) -> None:
    wide = [picture[:72] for picture in PICTURES[:4]]
    path = write_with(tmp_path / "a.mp4", wide, rotation=rotation)
    shape = read_frames(path, [0.0], short_side=500).frames[0].image.shape[:2]
    assert shape == ((72, 128) if rotation == 3 else (128, 72))
    assert (probe(path).height, probe(path).width) == shape


def test_a_real_tilt_is_refused_by_name(tmp_path: Path) -> None:
    path = write_with(tmp_path / "a.mp4", PICTURES[:4], rotation=30)
    with pytest.raises(UnusableInput, match=r"tilted: .* 30 degrees"):
        probe(path)


def test_high_dynamic_range_that_begins_midway_is_refused(tmp_path: Path) -> None:
    first = write_with(tmp_path / "a.ts", PICTURES[:20])
    second = write_with(tmp_path / "b.ts", PICTURES[:20], options={"x264-params": "transfer=smpte2084"})
    path = join(tmp_path / "c.ts", first, second)
    assert probe(path).duration > 1
    with pytest.raises(UnusableInput, match=r"hdr: .*\(PQ\)"):
        read_frames(path, [1.2], short_side=64)


def test_a_rotation_told_at_keyframes_holds_until_the_next_one(tmp_path: Path) -> None:
    parts = [
        write_with(tmp_path / f"{i}.ts", [picture[:72] for picture in PICTURES[:20]], stream_filter=stream_filter)
        for i, stream_filter in enumerate((None, "h264_metadata=display_orientation=insert:rotate=90"))
    ]
    clip = read_frames(join(tmp_path / "a.ts", *parts), np.arange(40) / 25 + 0.001, short_side=500, exact=True)
    assert [frame.image.shape[:2] for frame in clip.frames] == [(72, 128)] * 20 + [(128, 72)] * 20


def test_decoded_frames_are_freed_at_once(tmp_path: Path) -> None:
    """Although x264 adds side data to them, and a frame and its side data refer to each other in PyAV."""
    path = write_with(tmp_path / "a.mp4", PICTURES[:40], options={"g": "10"})
    gc.collect()
    gc.disable()
    try:
        with open_with_pyav(path) as reader:
            assert len(reader.read([0.0, 1.0], skip=False).thumbnails) > 25
            assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) < 8
    finally:
        gc.enable()


def test_png_frames_are_turned(tmp_path: Path) -> None:
    path = write_with(tmp_path / "a.mov", PICTURES[:12], "png", pixels="rgb24", rotation=90)
    clip = read_frames(path, np.arange(12) / 25, short_side=128)
    assert len(clip.frames) == 12
    assert np.array_equal(clip.frames[3].image, np.rot90(PICTURES[3]))


def test_side_data_of_png_are_not_asked_for() -> None:
    """PyAV frees the name of their colour profile twice, which crashes later."""
    frame = SimpleNamespace(rotation=89)  # without side_data
    matrix = read_display_matrix(frame, "png")
    assert find_axes(matrix) == find_axes(read_display_matrix(SimpleNamespace(rotation=90), "apng"))
    with pytest.raises(AttributeError):
        read_display_matrix(frame, "h264")


def test_animated_png_is_a_clip_and_one_picture_is_one_frame(tmp_path: Path) -> None:
    animated = write_with(tmp_path / "a.apng", PICTURES[:8], "apng", pixels="rgb24")
    single = tmp_path / "a.png"
    single.write_bytes(cv2.imencode(".png", PICTURES[0])[1].tobytes())
    assert len(read_frames(animated, np.arange(8) / 25 + 0.001, short_side=128).frames) == 8
    assert len(read_frames(single, [0.0], short_side=128).frames) == 1


@pytest.mark.skipif(decord is None, reason="decord is not installed")
def test_pyav_reads_what_decord_cannot_show(tmp_path: Path) -> None:
    plain = write_with(tmp_path / "plain.mp4", PICTURES)
    woven = write_with(tmp_path / "woven.mp4", WOVEN, interlaced=True)
    sizes = write_jpegs(tmp_path / "sizes.mkv", [PICTURES[0], PICTURES[1][:64]], [0, 40])
    gap = write_jpegs(tmp_path / "gap.mkv", PICTURES[:2], [0, 3_600_000])
    live = write_with(tmp_path / "live.mkv", PICTURES, container={"live": "1"})
    clips = (read_frames(path, [0.01], short_side=64, decoder="decord") for path in (plain, woven, sizes, gap, live))
    assert [clip.decoder for clip in clips] == ["decord", "pyav", "pyav", "pyav", "pyav"]


def test_faults_are_told_in_words(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    for path, words in (
        (text, "damaged or incomplete, or holds no video"),
        (tmp_path / "gone.mp4", "no such file"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(UnusableInput) as caught:
            probe(path)
        assert words in caught.value.detail
        assert "rrno" not in caught.value.detail


def test_other_errors_lose_their_numbers_and_functions() -> None:
    error = av.error.ExternalError(542398533, "Generic error in an external library", "avcodec_send_packet()")
    assert explain_error(error, "unreadable").detail == "the decoder says: Generic error in an external library"
    assert isinstance(explain_error(OSError(errno.ENOMEM, "Cannot allocate memory"), "unreadable"), MemoryError)
