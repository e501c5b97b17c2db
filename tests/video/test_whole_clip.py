"""Every frame of a clip in, and an edited copy with the same times and sound out."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import (
    WholeClip,
    as_tensor,
    check_sound,
    read_record,
    read_whole_clip,
    write_edited_clip,
)
from tests.video.odd_clips import write_jpegs

FRAMES = np.stack([np.full((36, 48, 3), 40 + 30 * number, np.uint8) for number in range(5)])


def write_with_sound(
    path: Path, *, is_full: bool = False, codec: str = "aac", rate: Fraction = Fraction(25, 2)
) -> None:
    """Five frames, by default at 12.5 a second, with as much silence."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=rate)
        picture.width, picture.height, picture.pix_fmt = 48, 36, "yuv420p"
        picture.codec_context.color_range = ColorRange.JPEG if is_full else ColorRange.MPEG
        sound = container.add_stream(codec, rate=8000, layout="mono")
        for pixels in FRAMES:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_color_range=picture.codec_context.color_range)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        kind, layout = (np.int16, "s16") if codec == "libopus" else (np.float32, "fltp")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, int(5 / rate * 8000)), kind), format=layout, layout="mono")
        silence.rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_colours_and_sound_are_kept(tmp_path, is_full, suffix):
    source, output = tmp_path / "s.mp4", tmp_path / f"e{suffix}"
    write_with_sound(source, is_full=is_full)
    clip = read_whole_clip(source, max_frames=5)
    assert clip.frames.shape == FRAMES.shape and clip.fps == 12.5
    assert np.abs(clip.frames.astype(int) - FRAMES).max() <= 3
    write_edited_clip(output, clip.frames[::-1], clip, source=source)
    edited = read_whole_clip(output, max_frames=5)
    assert edited.times == pytest.approx(clip.times, abs=1.1e-3) and edited.fps == pytest.approx(12.5)
    # Another range would change dark and bright frames by 10 levels and more.
    assert np.abs(edited.frames[::-1].astype(int) - clip.frames).max() <= 5
    assert sound_packets(output) == sound_packets(source) != []
    with av.open(str(output)) as container:
        assert (container.streams.video[0].codec_context.color_range == ColorRange.JPEG) == is_full


def test_sound_lies_beside_the_pictures_in_the_file(tmp_path):
    # FFmpeg itself sorts packets that are less than 10 s apart; these pictures are 20 s apart.
    write_with_sound(tmp_path / "s.mp4", rate=Fraction(1, 20))
    clip = read_whole_clip(tmp_path / "s.mp4", max_frames=5)
    write_edited_clip(tmp_path / "e.mp4", clip.frames, clip, source=tmp_path / "s.mp4")
    with av.open(str(tmp_path / "e.mp4")) as container:
        packets = [packet for packet in container.demux() if packet.size]
        order = [packet.stream.type for packet in sorted(packets, key=lambda packet: packet.pos)]
    pictures = [number for number, kind in enumerate(order) if kind == "video"]
    # Three pictures are decoded before the first sound is heard, because others are shown between them.
    assert len(pictures) == 5 and all(after - before > 100 for before, after in pairwise(pictures[2:]))


def test_sound_that_the_output_cannot_hold_is_named(tmp_path):
    write_with_sound(tmp_path / "opus.mkv", codec="libopus")
    write_with_sound(tmp_path / "aac.mp4")
    with pytest.raises(UserError, match=r"a \.mov cannot hold the sound of .*opus\.mkv \(opus\); choose .* \.mkv"):
        check_sound(tmp_path / "opus.mkv", tmp_path / "e.mov")
    for source, output in (("opus.mkv", "e.mkv"), ("aac.mp4", "e.mov"), ("aac.mp4", "e.mp4")):
        check_sound(tmp_path / source, tmp_path / output)


def test_odd_sides_are_kept(tmp_path):
    write_h264(tmp_path / "s.mp4", FRAMES, fps=10)
    clip = read_whole_clip(tmp_path / "s.mp4", max_frames=5)
    odd = clip._replace(frames=clip.frames[:, :35, :47])
    write_edited_clip(tmp_path / "e.mp4", odd.frames, odd, source=tmp_path / "s.mp4")
    assert read_whole_clip(tmp_path / "e.mp4", max_frames=5).frames.shape == odd.frames.shape


def test_a_folder_of_frames_is_a_clip(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, pixels in enumerate(FRAMES):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    clip = read_whole_clip(folder, max_frames=5, folder_fps=10)
    assert np.array_equal(clip.frames, FRAMES) and clip.fps == 10 and clip.times[4] == pytest.approx(0.4)
    check_sound(folder, tmp_path / "e.mp4")
    write_edited_clip(tmp_path / "e.mp4", clip.frames, clip, source=folder, record="mine")
    edited = read_whole_clip(tmp_path / "e.mp4", max_frames=5)
    assert edited.fps == 10 and edited.times == pytest.approx(clip.times) and read_record(tmp_path / "e.mp4") == "mine"
    assert np.abs(edited.frames.astype(int) - FRAMES).max() <= 3
    with pytest.raises(UserError, match=r"has more than 4 frames; of 48 x 36 pixels, about \d+ fit into"):
        read_whole_clip(folder, max_frames=4)
    for file in list(folder.iterdir())[1:]:
        file.unlink()
    with pytest.raises(UserError, match="frames has 1 frame, expected a clip of at least 2"):
        read_whole_clip(folder, max_frames=5)


def test_clips_that_cannot_be_edited_are_named(tmp_path):
    write_h264(tmp_path / "one.mp4", FRAMES[:1], fps=10)
    with pytest.raises(UserError, match=r"one\.mp4 has 1 frame, expected a clip of at least 2"):
        read_whole_clip(tmp_path / "one.mp4", max_frames=5)
    write_h264(tmp_path / "five.mp4", FRAMES, fps=10)
    with pytest.raises(UserError, match=r"five\.mp4 has more than 4 frames; of 48 x 36 pixels, about \d+ fit into"):
        read_whole_clip(tmp_path / "five.mp4", max_frames=4)
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(UserError, match=r"text\.mp4 cannot be edited: .*damaged or incomplete"):
        read_whole_clip(tmp_path / "text.mp4", max_frames=4)
    write_jpegs(tmp_path / "sizes.mkv", [FRAMES[0], FRAMES[1], FRAMES[2, :24, :32]], [0, 40, 80])
    with pytest.raises(UserError, match=r"frames of several sizes \(32 x 24, 48 x 36\); convert it to one size"):
        read_whole_clip(tmp_path / "sizes.mkv", max_frames=20)


def test_frames_as_a_tensor_are_channels_first_from_0_to_1():
    levels = np.zeros((2, 4, 6, 3), np.uint8)
    levels[1, 3, 5] = (255, 51, 0)
    frames = as_tensor(WholeClip(levels, [0.0, 0.1], 10.0))
    assert frames.shape == (2, 3, 4, 6) and frames[1, :, 3, 5].tolist() == pytest.approx([1, 0.2, 0])
