"""Decoded frames are ffmpeg's own pictures, at ffmpeg's own times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("imageio_ffmpeg")

from mimicbrush.errors import UnusableInput
from mimicbrush.video.clip_reader import probe, read_frames
from mimicbrush.video.decord_reader import decord
from tests.video.ffmpeg_oracle import Recipe, ffmpeg_frames, make_clip

pytestmark = pytest.mark.slow

H264 = "-c:v libx264 -preset veryfast -crf 12 -threads 1 -bf 3 -g 25"
HEVC = "-c:v libx265 -preset ultrafast -crf 12 -g 25 -x265-params log-level=error:pools=none:frame-threads=1:bframes=3"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 4M -threads 1 -g 25"
AV1 = "-c:v libsvtav1 -preset 12 -crf 20 -svtav1-params lp=1 -g 25"
MPEG4 = "-c:v mpeg4 -q:v 2 -bf 2 -g 25"
MPEG2 = "-c:v mpeg2video -q:v 2 -bf 2 -g 25"
OPEN_H264 = f"{H264} -x264-params open-gop=1:scenecut=0"
OPEN_HEVC = f"{HEVC}:open-gop=1:scenecut=0"

CODECS = [
    Recipe(file="h264.mp4", encode=H264),
    Recipe(file="hevc.mp4", encode=HEVC),
    Recipe(file="vp8.webm", encode="-c:v libvpx -deadline realtime -cpu-used 8 -b:v 4M"),
    Recipe(file="vp9.webm", encode=VP9),
    Recipe(file="av1.mkv", encode=AV1),
    Recipe(file="mpeg4.avi", encode=MPEG4),
    Recipe(file="mpeg2.mpg", encode=MPEG2),
    Recipe(file="mjpeg.mov", encode="-c:v mjpeg -q:v 2"),
    Recipe(file="prores.mov", encode="-c:v prores_ks -profile:v 0"),
    Recipe(file="wmv2.wmv", encode="-c:v wmv2 -q:v 2"),
    Recipe(file="h264.flv", encode=H264),
    Recipe(file="h264.ts", encode=H264),
]
TURN, MIRROR = "-display_rotation", "-display_hflip"
SHAPES = [
    Recipe(file="turned_90.mp4", encode=H264, remux=(f"{TURN} 90", ""), shown=(128, 192)),
    Recipe(file="turned_180.mp4", encode=H264, remux=(f"{TURN} 180", "")),
    Recipe(file="turned_270.mp4", encode=H264, remux=(f"{TURN} 270", ""), shown=(128, 192)),
    Recipe(file="mirrored.mp4", encode=H264, remux=(MIRROR, "")),
    Recipe(file="turned_mirrored.mp4", encode=H264, remux=(f"{TURN} 90 {MIRROR}", ""), shown=(128, 192)),
    Recipe(file="odd_444.mp4", encode=H264, filters="scale=161:121,setsar=1,format=yuv444p", shown=(161, 121)),
    Recipe(file="odd_420.webm", encode=VP9, filters="scale=161:121,setsar=1,format=yuv420p", shown=(161, 121)),
    Recipe(file="wide.mp4", encode=H264, filters="setsar=4/3", shown=(256, 128)),
    Recipe(file="narrow.mkv", encode=H264, filters="setsar=3/4", shown=(144, 128)),
    Recipe(file="turned_wide.mp4", encode=H264, filters="setsar=4/3", remux=(f"{TURN} 90", ""), shown=(128, 256)),
]
FULL_709 = "scale=out_range=pc:out_color_matrix=bt709,format=yuv420p"
COLOURS = [
    Recipe(file="10_bit.mp4", encode=f"{H264} -pix_fmt yuv420p10le"),
    Recipe(file="10_bit_hevc.mp4", encode=f"{HEVC} -pix_fmt yuv420p10le"),
    Recipe(file="422.mp4", encode=f"{H264} -pix_fmt yuv422p"),
    Recipe(file="grey.mp4", encode=f"{H264} -pix_fmt gray"),
    Recipe(file="rgb.mkv", encode="-c:v ffv1 -pix_fmt bgr0"),
    Recipe(file="full_range.mp4", encode=f"{H264} -pix_fmt yuvj420p"),
    Recipe(file="full_range_709.mp4", encode=f"{H264} -color_range pc -colorspace bt709", filters=FULL_709),
    *(
        Recipe(file=f"{tag}.mp4", encode=f"{H264} -colorspace {tag}", filters=f"scale=out_color_matrix={tag}")
        for tag in ("bt709", "smpte170m", "bt470bg", "bt2020nc")
    ),
]
IRREGULAR = r"select=not(mod(n\,4))+eq(mod(n\,7)\,2)"
LATE_PICTURES = "-f lavfi -i sine=duration=1.6 -itsoffset 0.5"
TIMINGS = [
    Recipe(file="live.mkv", encode=f"{H264} -live 1", seconds=3),
    Recipe(file="variable.mp4", encode=f"{H264} -fps_mode vfr", filters=IRREGULAR, seconds=3),
    Recipe(file="variable.mkv", encode=f"{H264} -fps_mode vfr", filters=IRREGULAR, seconds=3),
    Recipe(file="edited.mp4", encode=H264, seconds=3, remux=("-ss 1.3", "")),
    Recipe(file="edited_in_first_gop.mp4", encode=H264, seconds=3, remux=("-ss 0.3", "")),
    Recipe(file="no_edit_list.mp4", encode=f"{H264} -use_editlist 0"),
    Recipe(file="negative_offsets.mp4", encode=f"{H264} -movflags negative_cts_offsets"),
    Recipe(file="late.mp4", encode=f"{H264} -output_ts_offset 2"),
    Recipe(file="late.mkv", encode=f"{H264} -output_ts_offset 2"),
    Recipe(file="early.mp4", encode=f"{H264} -output_ts_offset -0.5 -avoid_negative_ts disabled"),
    Recipe(file="audio_first.mp4", encode=H264, inputs=LATE_PICTURES),
    Recipe(file="audio_first.mkv", encode=H264, inputs=LATE_PICTURES),
    Recipe(file="audio_first.ts", encode=H264, inputs=LATE_PICTURES),
]
# Their frames carry the times of decoding them, not of showing them: all are decoded, to order the times.
DECODING_TIMES = [Recipe(file="decoding_times.avi", encode=H264, seconds=3)]
GOPS = [
    Recipe(file="gops.mp4", encode=H264, seconds=3),
    Recipe(file="gops.mkv", encode=H264, seconds=3),
    Recipe(file="gops.ts", encode=H264, seconds=3),
    Recipe(file="gops.flv", encode=H264, seconds=3),
    Recipe(file="gops.avi", encode=MPEG4, seconds=3),
    Recipe(file="gops.mpg", encode=MPEG2, seconds=3),
    Recipe(file="gops.webm", encode=VP9, seconds=3),
    Recipe(file="gops_av1.mp4", encode=AV1, seconds=3),
    Recipe(file="fragments.mp4", encode=f"{H264} -movflags frag_keyframe+empty_moov", seconds=3),
    Recipe(file="open_gops.mp4", encode=OPEN_H264, seconds=3),
    Recipe(file="open_gops.mkv", encode=OPEN_H264, seconds=3),
    Recipe(file="open_gops_hevc.mp4", encode=OPEN_HEVC, seconds=3),
    Recipe(file="slow_open_gops.mp4", encode=OPEN_H264, rate=5, seconds=15),
    Recipe(file="slow_fragments.mp4", encode=f"{OPEN_H264} -movflags frag_keyframe+empty_moov", rate=5, seconds=15),
]
NATIVE, SMALL = 1000, 64

DECORD_FAILS = {
    file: reason
    for reason, files in {
        "its FFmpeg does not decode AV1": ("av1.mkv", "gops_av1.mp4"),
        "it guesses no times for frames that carry none": ("mpeg4.avi", "gops.avi", "mpeg2.mpg", "gops.mpg"),
        "it loses the first keyframes of transport streams": ("h264.ts", "audio_first.ts", "gops.ts"),
        "it seeks to wrong frames in ASF": ("wmv2.wmv",),
        "it seeks past edit lists": ("edited.mp4", "edited_in_first_gop.mp4", "early.mp4"),
        "it seeks to wrong frames in open GOPs": (
            "open_gops.mp4",
            "open_gops.mkv",
            "slow_open_gops.mp4",
            "slow_fragments.mp4",
        ),
        "it turns mirrored pictures instead": ("mirrored.mp4", "turned_mirrored.mp4"),
        "it cannot copy pictures 72 pixels wide": ("narrow.mkv",),
    }.items()
    for file in files
}
TOLERANCE = {"auto": 2, "decord": 4}
"""Mean difference to ffmpeg's picture in grey levels; decord's scaler has colours at half the width."""


def _cases() -> list:
    """Every clip scaled, by either decoder; `auto` also unscaled where that may matter."""
    cases = [pytest.param(recipe, "auto", NATIVE, id=f"{recipe}-auto-{NATIVE}") for recipe in (*SHAPES, *COLOURS)]
    for recipe in (*CODECS, *SHAPES, *COLOURS, *TIMINGS, *DECODING_TIMES, *GOPS):
        cases.append(pytest.param(recipe, "auto", SMALL, id=f"{recipe}-auto-{SMALL}"))
        marks = [pytest.mark.skipif(decord is None, reason="decord is not installed")]
        if recipe.file in DECORD_FAILS:
            marks.append(pytest.mark.xfail(strict=True, reason=DECORD_FAILS[recipe.file]))
        cases.append(pytest.param(recipe, "decord", SMALL, id=f"{recipe}-decord-{SMALL}", marks=marks))
    return cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the clips, which all tests share; so they do with ffmpeg's pictures, in memory."""
    yield tmp_path_factory.mktemp("oracle")
    ffmpeg_frames.cache_clear()


def size_of(recipe: Recipe, short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(recipe.shown))
    return round(recipe.shown[0] * scale), round(recipe.shown[1] * scale)


def difference(images: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N,) mean absolute differences of (N, H, W, 3) and (H, W, 3), in grey levels."""
    return np.array([cv2.norm(each, image, cv2.NORM_L1) for each in images]) / image.size


@pytest.mark.parametrize(("recipe", "decoder", "short_side"), _cases())
def test_frames_are_those_of_ffmpeg(folder: Path, recipe: Recipe, decoder: str, short_side: int) -> None:
    clip = make_clip(recipe, folder)
    starts, images = ffmpeg_frames(clip, size_of(recipe, short_side))
    numbers = np.linspace(0, len(starts) - 1, 7).astype(int)
    # Every other time is a frame's first instant; 10 ms later that frame is still on screen.
    times = starts[numbers] + 0.01 * (np.arange(7) % 2)
    frames = read_frames(clip, times[::-1], short_side=short_side, decoder=decoder, exact=True).frames
    assert [frame.time for frame in frames] == pytest.approx(starts[numbers].tolist(), abs=1e-3)
    differences = np.stack([difference(images, frame.image) for frame in frames])
    assert differences.argmin(1).tolist() == numbers.tolist()
    assert differences.min(1).max() <= TOLERANCE[decoder]


@pytest.mark.parametrize("recipe", GOPS, ids=str)
def test_seeking_finds_the_frames_around_keyframes(folder: Path, recipe: Recipe) -> None:
    clip = make_clip(recipe, folder)
    starts, images = ffmpeg_frames(clip, size_of(recipe, SMALL))
    numbers = [*range(20, 28), *range(44, 54)]
    found = [read_frames(clip, [0.0, starts[number]], short_side=SMALL, exact=True).frames[-1] for number in numbers]
    assert [frame.time for frame in found] == pytest.approx(starts[numbers].tolist(), abs=1e-3)
    assert [int(difference(images, frame.image).argmin()) for frame in found] == numbers


@pytest.mark.parametrize("step", [1, 26])
@pytest.mark.parametrize("recipe", [*CODECS, *TIMINGS, *GOPS], ids=str)
def test_snapped_frames_are_reference_frames(folder: Path, recipe: Recipe, step: int) -> None:
    clip = make_clip(recipe, folder)
    starts, images = ffmpeg_frames(clip, size_of(recipe, SMALL))
    number_of = {image.tobytes(): number for number, image in enumerate(images)}
    _, kept = ffmpeg_frames(clip, size_of(recipe, SMALL), skip="noref")
    references = np.array([number_of[image.tobytes()] for image in kept])
    asked = starts[3::step]
    numbers = np.unique(references[np.searchsorted(starts[references], asked + 1e-4, side="right") - 1])
    snapped = read_frames(clip, asked, short_side=SMALL).frames
    assert [frame.time for frame in snapped] == pytest.approx(starts[numbers].tolist(), abs=1e-3)
    assert [int(difference(images, frame.image).argmin()) for frame in snapped] == numbers.tolist()
    exact = read_frames(clip, [frame.time for frame in snapped], short_side=SMALL, exact=True).frames
    assert all(np.array_equal(one.image, other.image) for one, other in zip(snapped, exact, strict=True))


@pytest.mark.parametrize("recipe", [*CODECS, *SHAPES, *TIMINGS[-3:], *DECODING_TIMES], ids=str)
def test_probe_gives_the_size_on_screen(folder: Path, recipe: Recipe) -> None:
    info = probe(make_clip(recipe, folder))
    assert (info.width, info.height) == recipe.shown
    assert info.duration == pytest.approx(recipe.seconds, abs=0.1)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("encode", [H264, HEVC, f"{VP9} -profile:v 2", AV1], ids=["h264", "hevc", "vp9", "av1"])
def test_high_dynamic_range_is_refused(tmp_path: Path, encode: str, transfer: str) -> None:
    tags = f"-pix_fmt yuv420p10le -color_trc {transfer} -color_primaries bt2020 -colorspace bt2020nc"
    recipe = Recipe(file="hdr.mkv", encode=f"{encode} {tags}", filters=f"setparams=color_trc={transfer}", seconds=0.2)
    with pytest.raises(UnusableInput) as caught:
        read_frames(make_clip(recipe, tmp_path), [0.0], short_side=SMALL)
    assert caught.value.reason == "hdr"
