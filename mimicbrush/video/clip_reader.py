"""Read frames at given times from a clip, by PyAV or decord."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mimicbrush.errors import UnusableInput
from mimicbrush.video.decoded_clip import DecodedClip, Keep, Times, VideoInfo
from mimicbrush.video.decord_reader import open_with_decord, suits_decord
from mimicbrush.video.pyav_reader import open_with_pyav


class ClipReader(Protocol):
    """A clip that is open for reading; it moves forward only."""

    info: VideoInfo

    def read(self, times: Sequence[float], *, keep: Keep | None = None, skip: bool = True) -> DecodedClip:
        """Read the frames on screen at the given times, in order of time; times after the last frame give none.

        Successive calls read successive stretches of the clip without seeking back, and give no frame and no thumbnail
        twice.
        times: seconds of playing time, in any order. keep: asked about each frame that is decoded on the way, by its
        thumbnail; the frames that it chooses are added to those at `times`. skip: whether frames between two of the
        times may be passed over by seeking; otherwise all from the first to the last are decoded.
        """


@contextmanager
def open_clip(path: Path, *, short_side: int, decoder: str = "auto", exact: bool = False) -> Iterator[ClipReader]:
    """Open a clip, to read it in stretches.

    short_side: largest short side of the frames, in pixels; frames are never enlarged.
    decoder: pyav, decord, or auto, which is PyAV: it detects damaged frames and was no slower for any codec tried.
    PyAV also reads what decord cannot give, see `suits_decord`; `DecodedClip.decoder` names the one that was used.
    exact: read the very frames. Otherwise PyAV takes the last reference frame at or before each time, which is faster.
    Raises UnusableInput (unreadable, no_video_stream, hdr, tilted, corrupt_frames, too_short), and so does reading.
    """
    if decoder == "decord" and suits_decord(path):
        with open_with_decord(path, probe(path), short_side=short_side) as reader:
            yield reader
    else:
        with open_with_pyav(path, short_side=short_side, exact=exact) as reader:
            yield reader


def probe(path: Path) -> VideoInfo:
    """Read the facts of a clip; raises UnusableInput (unreadable, no_video_stream, hdr, tilted, too_short)."""
    with open_with_pyav(path) as reader:
        return reader.info


def read_frames(
    path: Path, times: Times, *, short_side: int, decoder: str = "auto", exact: bool = False
) -> DecodedClip:
    """Read the frames on screen at the given times, in order of time, each frame once; options as in `open_clip`.

    times: seconds in any order, or a function that gives them for a duration; times after the last frame give none.
    Raises UnusableInput (unreadable, no_video_stream, hdr, tilted, corrupt_frames, too_short).
    """
    with open_clip(path, short_side=short_side, decoder=decoder, exact=exact) as reader:
        clip = reader.read(times(reader.info.duration) if callable(times) else times)
    if not clip.frames:
        raise UnusableInput("too_short", f"no frame at the wanted moments of {clip.info.duration:.2f} s")
    return clip
