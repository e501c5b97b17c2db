"""Uploaded clips and their masks: checked before they are decoded, and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.demo.config import Limits
from mimicbrush.demo.uploads import refuse_deleted
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.pictures.headers import read_header, refuse_large
from mimicbrush.video.clip_reader import probe
from mimicbrush.video.decoded_clip import VideoInfo

BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""Kinds of the first box of MP4 and QuickTime files, four bytes from their beginning."""
MATROSKA, AVI = b"\x1a\x45\xdf\xa3", b"AVI "


def check_clip(path: Path, limits: Limits) -> VideoInfo:
    """Describe an uploaded clip; raises UserError if it is no longer there, not a clip, or too large."""
    refuse_deleted(path)
    if not _is_container(path):
        raise UserError(f"{path}: cannot be read as a clip; expected MP4, QuickTime, WebM, Matroska or AVI")
    try:
        info = probe(path)
    except UnusableInput as error:
        raise UserError(f"{path}: cannot be read as a clip ({error})") from None
    if info.width * info.height > limits.megapixels * 1e6:
        raise UserError(
            f"{path}: its frames are {info.width} x {info.height}, more than {limits.megapixels} megapixels"
        )
    return info


def check_clip_mask(path: Path, limits: Limits) -> None:
    """Raise UserError if the uploaded mask of a clip is no longer there, not a picture, or too large."""
    refuse_deleted(path)
    header = read_header(path)
    refuse_large(path, header.width, header.height, max_pixels=limits.megapixels * 1_000_000)


def _is_container(path: Path) -> bool:
    """Whether a file begins like one of the clips that browsers and cameras make.

    FFmpeg also opens playlists and lists of files, whose text names other files of this machine or of others.
    """
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] in BOXES or head[:4] == MATROSKA or (head[:4] == b"RIFF" and head[8:] == AVI)
