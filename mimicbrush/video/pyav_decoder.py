"""Decode a clip's video stream by PyAV: intact frames in order of time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from typing import NamedTuple

import av

from mimicbrush.errors import UnusableInput
from mimicbrush.video.display_geometry import Geometry, find_axes, read_display_matrix
from mimicbrush.video.pyav_container import explain_error
from mimicbrush.video.timeline import MAX_REORDERED

HDR_TRANSFERS = frozenset({16, 18})
"""PQ and HLG, by FFmpeg's numbers: such frames would need tone mapping to sRGB, which does not exist here."""
NUM_PEEKED = 16
"""Number of packets by which to tell whether their times are those of decoding."""
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders for streams whose alpha FFmpeg's own decoders leave out."""


class DecodedFrame(NamedTuple):
    """A frame, and what is known of it."""

    frame: av.VideoFrame
    geometry: Geometry
    previous: av.VideoFrame | None
    """The frame decoded before an interlaced one."""

    @property
    def stamp(self) -> float:
        """Time stamp in seconds."""
        return self.frame.time


class Decoder:
    """Decodes a clip's video stream from its start, or from a seek."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, *, exact: bool) -> None:
        """exact: decode all frames; otherwise only those that others refer to, where that is possible."""
        self.container = container
        self.stream = stream
        self.context = _alpha_decoder(stream) or stream.codec_context
        self.packets: Iterator[av.Packet] = container.demux(stream)
        self.is_in_decoding_order = bool(stream.codec_context.has_b_frames) and self._peek()
        self.context.skip_frame = "DEFAULT" if exact or self.is_in_decoding_order else "NONREF"
        self.first_aspect: float | None = None

    def frames(self, *, wanted: float | None = None) -> Iterator[DecodedFrame]:
        """Decode frames; raises UnusableInput (hdr, tilted, no_times, corrupt_frames) at the first that is unusable.

        Later frames refer to a damaged one. wanted: after a seek, the time stamp in seconds that it was for.
        """
        frames = with_stamps(self._decode())
        if wanted is not None and self.context is self.stream.codec_context:
            frames = _skip_leading(frames, wanted)
        aspects: deque[float] = deque()
        frames = self._note_aspects(frames, aspects)
        if self.is_in_decoding_order:
            frames = _in_order(frames)
        previous = matrix = own_matrix = rotation = None
        try:
            for frame in frames:
                if frame.is_corrupt:
                    raise UnusableInput("corrupt_frames", f"damaged frame at {frame.time:.2f} s")
                if frame.color_trc in HDR_TRANSFERS:
                    name = "PQ" if frame.color_trc == 16 else "HLG"
                    raise UnusableInput("hdr", f"high dynamic range ({name}) at {frame.time:.2f} s")
                # Streams may carry the matrix at keyframes only; containers give it to every frame.
                # It is read where the rotation changes: PyAV's frames and their side data refer to each other, so that
                # frames whose side data were read stay in memory until Python looks for such cycles.
                if frame.rotation != rotation:
                    rotation = frame.rotation
                    own_matrix = read_display_matrix(frame, self.context.codec.canonical_name)
                matrix = own_matrix if own_matrix is not None or frame.key_frame else matrix
                geometry = Geometry(frame.width, frame.height, aspects.popleft(), find_axes(matrix))
                yield DecodedFrame(frame, geometry, previous if frame.interlaced_frame else None)
                previous = frame
        except (av.FFmpegError, ValueError) as error:
            raise explain_error(error, "corrupt_frames") from None

    def seek(self, stamp: float) -> None:
        """Move to the keyframe that the container's index names for a time stamp in seconds."""
        try:
            self.container.seek(int(stamp / self.stream.time_base), stream=self.stream)
        except av.FFmpegError as error:
            raise explain_error(error, "corrupt_frames") from None
        if self.context is not self.stream.codec_context:
            self.context.flush_buffers()
        self.packets = self.container.demux(self.stream)

    def _peek(self) -> bool:
        """Whether a stream with reordered frames has the times of decoding them, as in AVI, instead of showing them."""
        try:
            peeked = list(islice(self.packets, NUM_PEEKED))
        except av.FFmpegError as error:
            raise explain_error(error, "corrupt_frames") from None
        self.packets = chain(peeked, self.packets)
        stamps = [packet.pts for packet in peeked if packet.pts is not None]
        return all(before < after for before, after in pairwise(stamps))

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self.packets:
            yield from self.context.decode(packet)

    def _note_aspects(self, frames: Iterable[av.VideoFrame], aspects: deque[float]) -> Iterator[av.VideoFrame]:
        """Give frames as they are decoded, and add the aspect of each to `aspects`; later, the decoder has moved on."""
        aspect = None
        for frame in frames:
            # A new aspect is known as soon as its keyframe is decoded, before earlier frames have come out.
            if frame.key_frame or aspect is None:
                aspect = self._aspect()
            aspects.append(aspect)
            yield frame

    def _aspect(self) -> float:
        """Aspect of a pixel: the container's, until the stream's own changes."""
        own = float(self.context.sample_aspect_ratio or 1) or 1.0
        if self.first_aspect is None:
            self.first_aspect = own
        return own if own != self.first_aspect else float(self.stream.sample_aspect_ratio or 1) or 1.0


def _alpha_decoder(stream: av.VideoStream) -> av.VideoCodecContext | None:
    name = ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    context = av.CodecContext.create(name, "r")
    context.thread_count = 1
    return context


def with_stamps(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Guess the time stamps that are missing, as at jumps; raises UnusableInput (no_times) if the first one is."""
    last: int | None = None
    for frame in frames:
        if frame.pts is None and frame.dts is not None and (last is None or frame.dts > last):
            frame.pts = frame.dts
        elif frame.pts is None and last is not None:
            frame.pts = last + max(1, frame.duration)
        if frame.pts is None:
            raise UnusableInput("no_times", "its frames carry no time stamps")
        last = frame.pts
        yield frame


def _in_order(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Give frames, which come in the order of showing them, their times in rising order."""
    held: deque[av.VideoFrame] = deque()
    stamps: list[int] = []
    last: int | None = None

    def next_in_order() -> av.VideoFrame:
        frame = held.popleft()
        frame.pts = heapq.heappop(stamps)
        return frame

    for frame in frames:
        # In joined streams, time stamps start anew.
        while held and last is not None and frame.pts < last:
            yield next_in_order()
        held.append(frame)
        heapq.heappush(stamps, frame.pts)
        if len(held) > MAX_REORDERED:
            ready = next_in_order()
            last = ready.pts
            yield ready
    while held:
        yield next_in_order()


def _skip_leading(frames: Iterable[av.VideoFrame], wanted: float) -> Iterator[av.VideoFrame]:
    """Skip frames shown before the keyframe that follow it in the file: they refer to frames that were not decoded."""
    is_leading = True
    for frame in frames:
        is_leading = is_leading and not frame.key_frame and frame.time < wanted
        if not is_leading:
            yield frame
