"""Find damage inside a JPEG, which decoders fill with grey or with shifted colours without an error.

libjpeg notices that the coded data of a picture ends too early, is too long, or holds codes that do not exist, but
only prints a warning. Pillow drops it; OpenCV lets libjpeg print it, so it is read from there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import cv2
import numpy as np

JPEG = b"\xff\xd8\xff"
"""First bytes of a JPEG."""
WARNING = re.compile(
    rb"premature end of data segment|bad Huffman code|found marker 0x\w+ instead of RST\d"
    rb"|(?P<extra>\d+) extraneous bytes before marker 0x(?:c4|d9|da)"
)
"""libjpeg's warnings of damage; its others are about harmless faults of programs that write JPEG."""
STDERR = 2
"""Descriptor of the stream to which libjpeg prints."""


def find_jpeg_damage(encoded: bytes) -> str | None:
    """Describe the damage in the coded data of a JPEG; None if there is none, or for another format.

    Damage after which the number of coded blocks is still right, about one case in eight, cannot be found. Not for
    threads: what other threads print meanwhile is lost.
    """
    if not encoded.startswith(JPEG):
        return None
    with _captured_stderr() as captured:
        # An eighth of the size: all codes are read, and nearly no pixels are computed.
        cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        captured.seek(0)
        found = WARNING.search(captured.read())
    if found is None:
        return None
    if found["extra"] and _is_padded(encoded, int(found["extra"])):
        return None
    return f"damaged inside: {found[0].decode()}"


def _is_padded(encoded: bytes, num: int) -> bool:
    """Whether `num` equal bytes, with which some cameras fill up a file, precede a marker."""
    return re.search(rb"(.)\1{%d}\xff[\xc4\xd9\xda]" % (num - 1), encoded, re.DOTALL) is not None


@contextmanager
def _captured_stderr() -> Iterator[IO[bytes]]:
    """Lead what is printed to the process's standard error into a temporary file."""
    kept = os.dup(STDERR)
    try:
        with tempfile.TemporaryFile() as captured:
            os.dup2(captured.fileno(), STDERR)
            try:
                yield captured
            finally:
                os.dup2(kept, STDERR)
    finally:
        os.close(kept)
