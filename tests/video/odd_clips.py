"""Small clips with odd flags, sizes and time stamps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.filter import Graph
from numpy.typing import NDArray


def write_with(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    source: str = "rgb24",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    rotation: int | None = None,
    interlaced: bool = False,
    stream_filter: str | None = None,
) -> Path:
    """Encode frames, 25 a second.

    source: format of `frames`. container: its options. interlaced: frames hold two fields, the top one
    first. stream_filter: a filter of FFmpeg's for packets.
    """
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if interlaced:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        packets = []
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format=source)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(_flag_fields(frame.reformat(format=pixels)) if interlaced else frame)
        packets += stream.encode()
        if stream_filter is not None:
            bitstream = BitStreamFilterContext(stream_filter, stream)
            packets = [filtered for packet in [*packets, None] for filtered in bitstream.filter(packet)]
        output.mux(packets)
    return path


def _flag_fields(frame: av.VideoFrame) -> av.VideoFrame:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


def write_jpegs(path: Path, frames: Sequence[NDArray[np.uint8]], stamps: Sequence[int]) -> Path:
    """Store RGB frames, which may differ in size, as JPEG at time stamps in milliseconds."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for frame, stamp in zip(frames, stamps, strict=True):
            content = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 1000), True
            packet.pts = packet.dts = stamp
            output.mux(packet)
    return path


def join(path: Path, *parts: Path) -> Path:
    """Join transport streams as `cat` does: time stamps start anew with each."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def weave(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An interlaced frame: even lines of one picture, odd lines of a later one."""
    woven = first.copy()
    woven[1::2] = second[1::2]
    return woven
