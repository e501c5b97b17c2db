"""A whole clip to be edited: all its frames, and an edited copy with the same frame times and sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from heapq import merge
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import whole
from mimicbrush.machine import GIBIBYTE, usable_memory
from mimicbrush.pictures.conversion import rgb_bytes
from mimicbrush.pictures.decoding import upright_size
from mimicbrush.video.clip_writer import SETTINGS
from mimicbrush.video.decoded_clip import Thumbnail
from mimicbrush.video.frame_folder import decode_frame_folder, list_frames, warn_of_transparency
from mimicbrush.video.pyav_container import open_container, video_stream
from mimicbrush.video.pyav_reader import open_with_pyav

if TYPE_CHECKING:
    from torch import Tensor

TICKS = 90_000
"""Time stamps in a second, as broadcasts have them: common frame rates are whole numbers of ticks."""
RECORD = "comment"
"""The tag for texts that MP4, QuickTime and Matroska have in common."""
BYTES_PER_PIXEL = 42
"""Memory of an edited clip: source, edit and pasted result in floats, and two copies of 8 bits."""
FOLDER_FPS = 25.0
"""Frames a second of a folder of frames unless it is said otherwise, as in FFmpeg."""
ANY_SIDE = 1_000_000
"""A short side that no frame reaches, so that none is scaled."""


class WholeClip(NamedTuple):
    """All frames of a clip."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB, upright, with square pixels."""
    times: list[float]
    """Seconds from the first frame."""
    fps: float
    """Frames a second, on average."""


def as_tensor(clip: WholeClip) -> Tensor:
    """Convert the frames to (T, 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255


def read_whole_clip(path: Path, *, max_frames: int, folder_fps: float = FOLDER_FPS) -> WholeClip:
    """Read every frame; raises UserError, which says what is wrong, for a clip that cannot be edited as a whole.

    path: a clip, or a folder of frames, which are shown at `folder_fps` frames a second.
    """
    return _read_folder(path, max_frames, folder_fps) if path.is_dir() else _read_file(path, max_frames)


def _read_folder(path: Path, max_frames: int, fps: float) -> WholeClip:
    files = list_frames(path)
    _refuse_still(path, len(files))
    if len(files) > max_frames:
        raise _too_long(path, max_frames, *upright_size(files[0]))
    levels = decode_frame_folder(path, files)
    warn_of_transparency(path, levels)
    times = [number / fps for number in range(len(files))]
    return WholeClip(np.stack([rgb_bytes(each) for each in levels]), times, fps)


def _refuse_still(path: Path, num_frames: int) -> None:
    if num_frames < 2:
        raise UserError(f"{path} has 1 frame, expected a clip of at least 2; edit a still with another kind of edit")


def _read_file(path: Path, max_frames: int) -> WholeClip:
    num_frames = 0

    try:
        with open_with_pyav(path, short_side=ANY_SIDE, exact=True) as reader:

            def keep(thumbnail: Thumbnail) -> bool:
                nonlocal num_frames
                num_frames += 1
                if num_frames > max_frames:
                    raise _too_long(path, max_frames, reader.info.width, reader.info.height)
                return True

            frames = reader.read([0.0, float("inf")], keep=keep, skip=False).frames
            rate = reader.stream.average_rate
    except UnusableInput as error:
        raise UserError(f"{path} cannot be edited: {error.detail} ({error.reason})") from None
    _refuse_still(path, len(frames))
    sizes = {frame.image.shape[1::-1] for frame in frames}
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise UserError(f"{path} has frames of several sizes ({listed}); convert it to one size")
    times = [frame.time for frame in frames]
    fps = float(rate) if rate else (len(times) - 1) / (times[-1] - times[0])
    return WholeClip(np.stack([frame.image for frame in frames]), times, fps)


def _too_long(path: Path, max_frames: int, width: int, height: int) -> UserError:
    frame = width * height * BYTES_PER_PIXEL
    fitting = int(usable_memory() / frame)
    return UserError(
        f"{path} has more than {max_frames} frames; of {width} x {height} pixels, about {fitting} fit into"
        f" the {usable_memory() / GIBIBYTE:.0f} GiB of memory here ({frame / 2**20:.1f} MiB each, without the"
        " networks); cut it into shorter clips, or raise max_frames"
    )


def check_sound(source: Path, output: Path) -> None:
    """Raise UserError unless a clip of the output's name can hold the sound of the source; a folder has none."""
    if source.is_dir():
        return
    with open_container(source) as original:
        sounds = list(original.streams.audio)
        try:
            with av.open(BytesIO(), "w", format=_format_of(output)) as container:
                copies = {sound.index: container.add_stream_from_template(sound) for sound in sounds}
                # Some sounds are refused only when a clip that has them is finished.
                for packet in islice(original.demux(sounds), len(sounds)) if sounds else ():
                    packet.stream = copies[packet.stream.index]
                    container.mux(packet)
        except (av.FFmpegError, ValueError):
            names = ", ".join(sorted({sound.codec_context.name for sound in sounds}))
            raise UserError(
                f"a {output.suffix} cannot hold the sound of {source} ({names}); choose an output that ends in .mkv"
            ) from None


def read_record(path: Path) -> str:
    """The text that `write_edited_clip` stored in a clip; empty if there is none, or the file is not a clip."""
    try:
        with open_container(path) as container:
            # Matroska writes names of tags in capitals.
            return next((text for name, text in container.metadata.items() if name.lower() == RECORD), "")
    except UnusableInput:
        return ""


def write_edited_clip(
    path: Path, frames: NDArray[np.uint8], clip: WholeClip, *, source: Path, record: str = ""
) -> None:
    """Write frames (T, H, W, 3) as H.264 with the times of `clip`, and the colour range and sound of its file `source`.

    Sound is copied as it is, not encoded again. source may be a folder of frames, which has no sound. record: a text to
    store in the file.
    """
    with whole(path) as partial, ExitStack() as opened:
        original, is_full, start = None, False, 0.0
        if source.is_file():
            original = opened.enter_context(open_container(source))
            picture = video_stream(original)
            is_full = picture.codec_context.color_range == ColorRange.JPEG
            start = float((picture.start_time or 0) * picture.time_base)
        sounds = list(original.streams.audio) if original else []
        with av.open(str(partial), "w", format=_format_of(path)) as container:
            if record:
                container.metadata[RECORD] = record
            stream = _add_h264(container, frames.shape[2], frames.shape[1], clip.fps, is_full=is_full)
            copies = {sound.index: container.add_stream_from_template(sound) for sound in sounds}
            times = [start + time for time in clip.times]
            # In the order of time, so that a player reads pictures and sound side by side.
            packets = (_encoded(stream, frames, times), _copied(original, copies))
            for packet in merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)


def _encoded(stream: av.VideoStream, frames: NDArray[np.uint8], times: Sequence[float]) -> Iterator[av.Packet]:
    """Encode frames (T, H, W, 3) that are shown at these times, in seconds."""
    for time, pixels in zip(times, frames, strict=True):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format=stream.pix_fmt, dst_color_range=stream.codec_context.color_range)
        frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
        yield from stream.encode(frame)
    yield from stream.encode()


def _copied(original: av.container.InputContainer | None, copies: Mapping[int, av.AudioStream]) -> Iterator[av.Packet]:
    """Packets of the audio streams, each assigned to its copy; copies: by index of the original stream."""
    for packet in original.demux(list(original.streams.audio)) if copies else ():
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            yield packet


def _format_of(path: Path) -> str:
    return path.suffix.lstrip(".").lower().replace("mkv", "matroska")


def _add_h264(
    container: av.container.OutputContainer, width: int, height: int, fps: float, *, is_full: bool
) -> av.VideoStream:
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, options=dict(SETTINGS))
    stream.width, stream.height = width, height
    # With halved colours, sides have to be even.
    stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS)
    stream.codec_context.color_range = ColorRange.JPEG if is_full else ColorRange.MPEG
    return stream
