"""Picture files of every kind, each with the pixels that a network must see, known by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 40, 56
ORIENTATION, BITS_8 = 0x0112, 257
COLOURS = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
)
DEEP = COLOURS.astype(np.uint16) * 256 + np.random.default_rng(1).integers(0, 256, COLOURS.shape, dtype=np.uint16)
ALPHA = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
ALPHA[4:36, 8:48] = 128
ALPHA[8:32, 12:44] = 255
GREY = COLOURS[..., :1]
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[8:30, 10:40] = True


class OddFile(NamedTuple):
    """A picture file and its expected pixels."""

    encoded: bytes
    shown: NDArray[np.uint8]
    """(H, W, 3) on white, or a mask (H, W) of bool."""
    tolerance: int = 0
    """Allowed difference between decoders in levels."""
    lost_in_pillow: bool = False
    """Whether Pillow reads only 8 of the file's 16 bits."""
    is_grey: bool = False
    """Whether the benchmark builder refuses the mask because it is not black and white enough."""


def saved(array: NDArray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    image = array if isinstance(array, Image.Image) else Image.fromarray(array.squeeze())
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(array: NDArray, kind: str, orientation: int, **options: object) -> bytes:
    """Turn an upright array as a camera with this orientation stores it."""
    undo = {
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(array.squeeze()).transpose(undo)
    if kind == "TIFF":
        return saved(image, kind, tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, kind, exif=exif, **options)


def deep_png(levels: NDArray[np.uint16], *, key: NDArray[np.uint16] | None = None) -> bytes:
    """A PNG of 16 bits with 1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    transparency = b"" if key is None else chunk(b"tRNS", key.astype(">u2").tobytes())
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + transparency + pixels + chunk(b"IEND", b"")


def cmyk_profile() -> bytes:
    """Make an ICC profile of unusual inks: cyan prints red, and black is black."""
    lab = {(1, 0, 0, 0): (53.2, 80.1, 67.2)}  # red of sRGB
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    colours = [lab.get(inks, (0 if inks[3] else 100, 0, 0)) for inks in corners]
    table = bytes(level for light, a, b in colours for level in (round(light * 2.55), round(a) + 128, round(b) + 128))
    identity, ramp = np.eye(3).ravel(), bytes(range(256))
    matrix = struct.pack(">9i", *(int(value * 65536) for value in identity))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + table + 3 * ramp
    white = struct.pack(">3i", *(int(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(78),
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"A2B0": lut,
    }
    start, index, content = 128 + 4 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        index += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(content), b"", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + content


def on_white(colours: NDArray, alpha: NDArray) -> NDArray[np.uint8]:
    """(H, W, 3) and (H, W, 1), of 8 or 16 bits -> 8 bits."""
    colours, alpha = (levels / np.iinfo(levels.dtype).max for levels in (colours, alpha))
    return np.round(255 * (colours * alpha + 1 - alpha)).astype(np.uint8)


def rounded(levels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.round(levels / BITS_8).astype(np.uint8)


def grey(levels: NDArray) -> NDArray:
    return np.repeat(levels, 3, axis=2)


def with_alpha(colours: NDArray, alpha: NDArray = ALPHA) -> NDArray:
    return np.concatenate(
        [colours, alpha.astype(colours.dtype) * (BITS_8 if colours.dtype == np.uint16 else 1)], axis=2
    )


def _palette() -> Image.Image:
    return Image.fromarray(COLOURS).quantize(16, dither=Image.Dither.NONE)


def _palette_shown(transparent: int | None) -> NDArray[np.uint8]:
    shown = np.array(_palette().convert("RGB"))
    if transparent is not None:
        shown[np.asarray(_palette()) == transparent] = 255
    return shown


def _inks() -> Image.Image:
    inks = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    inks[:, 20:40, 0] = inks[:, 40:, 3] = 255
    return Image.fromarray(inks, "CMYK")


def _inks_shown(cyan: tuple[int, int, int]) -> NDArray[np.uint8]:
    shown = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    shown[:, 20:40], shown[:, 40:] = cyan, 0
    return shown


def _keyed(key: NDArray, levels: NDArray, shown: NDArray) -> NDArray[np.uint8]:
    return np.where((levels == key).all(axis=2, keepdims=True), 255, shown).astype(np.uint8)


def _deep_tiff(levels: NDArray[np.uint16]) -> bytes:
    encoded, content = cv2.imencode(".tif", levels[..., ::-1] if levels.shape[2] == 3 else levels)
    assert encoded
    return content.tobytes()


CLEAN = np.where(ALPHA > 0, COLOURS, 0).astype(np.uint8)
"""The pixels of a cut-out, black where nothing is to be seen."""

PICTURES: dict[str, Callable[[], OddFile]] = {
    "rgb": lambda: OddFile(saved(COLOURS), COLOURS),
    "grey": lambda: OddFile(saved(GREY), grey(GREY)),
    "bilevel": lambda: OddFile(saved(Image.fromarray(MASK)), grey(MASK[..., None] * np.uint8(255))),
    "cut-out": lambda: OddFile(saved(with_alpha(CLEAN)), on_white(CLEAN, ALPHA)),
    "cut-out, webp": lambda: OddFile(
        saved(with_alpha(CLEAN), "WEBP", lossless=True, exact=True), on_white(CLEAN, ALPHA)
    ),
    "grey and alpha": lambda: OddFile(saved(np.dstack([GREY, ALPHA])), on_white(grey(GREY), ALPHA)),
    "palette": lambda: OddFile(saved(_palette()), _palette_shown(None)),
    "transparent palette": lambda: OddFile(saved(_palette(), transparency=3), _palette_shown(3)),
    "gif": lambda: OddFile(saved(_palette(), "GIF", transparency=3), _palette_shown(3)),
    "colour key": lambda: OddFile(
        saved(COLOURS, transparency=tuple(map(int, COLOURS[9, 9]))), _keyed(COLOURS[9, 9], COLOURS, COLOURS)
    ),
    "grey, 16 bits": lambda: OddFile(deep_png(DEEP[..., :1]), grey(rounded(DEEP[..., :1]))),
    "grey, 16 bits, tiff": lambda: OddFile(_deep_tiff(DEEP[..., :1]), grey(rounded(DEEP[..., :1]))),
    "grey key, 16 bits": lambda: OddFile(
        deep_png(DEEP[..., :1], key=DEEP[9, 9, :1]),
        _keyed(DEEP[9, 9, :1], DEEP[..., :1], grey(rounded(DEEP[..., :1]))),
    ),
    "grey and alpha, 16 bits": lambda: OddFile(
        deep_png(with_alpha(DEEP[..., :1])),
        on_white(grey(DEEP[..., :1]), ALPHA * np.uint16(BITS_8)),
        lost_in_pillow=True,
    ),
    "rgb, 16 bits": lambda: OddFile(deep_png(DEEP), rounded(DEEP), lost_in_pillow=True),
    "rgb, 16 bits, tiff": lambda: OddFile(_deep_tiff(DEEP), (DEEP >> 8).astype(np.uint8)),
    "cut-out, 16 bits": lambda: OddFile(
        deep_png(with_alpha(DEEP)), on_white(DEEP, ALPHA * np.uint16(BITS_8)), lost_in_pillow=True
    ),
    "colour key, 16 bits": lambda: OddFile(
        deep_png(DEEP, key=DEEP[9, 9]), _keyed(DEEP[9, 9], DEEP, rounded(DEEP)), lost_in_pillow=True
    ),
    "cmyk": lambda: OddFile(saved(_inks(), "TIFF"), _inks_shown((0, 255, 255))),
    "cmyk with a profile": lambda: OddFile(
        saved(_inks(), "TIFF", icc_profile=cmyk_profile()), _inks_shown((255, 0, 0)), tolerance=10
    ),
    "cmyk with a profile, jpeg": lambda: OddFile(
        saved(_inks(), "JPEG", quality=100, subsampling=0, icc_profile=cmyk_profile()),
        _inks_shown((255, 0, 0)),
        tolerance=10,
    ),
    "cmyk with a broken profile": lambda: OddFile(
        saved(_inks(), "TIFF", icc_profile=b"profile"), _inks_shown((0, 255, 255))
    ),
    "rgb with a profile": lambda: OddFile(saved(COLOURS, icc_profile=b"profile"), COLOURS),
    "turned by 90": lambda: OddFile(turned(COLOURS, "PNG", 6), COLOURS),
    "turned by 180": lambda: OddFile(turned(COLOURS, "PNG", 3), COLOURS),
    "mirrored": lambda: OddFile(turned(COLOURS, "WEBP", 5, lossless=True), COLOURS),
    "turned, tiff": lambda: OddFile(turned(COLOURS, "TIFF", 8), COLOURS),
    "turned, jpeg": lambda: OddFile(turned(COLOURS, "JPEG", 6, quality=100, subsampling=0), COLOURS, tolerance=4),
    "turned cut-out": lambda: OddFile(turned(with_alpha(CLEAN), "PNG", 8), on_white(CLEAN, ALPHA)),
    "broken exif": lambda: OddFile(saved(COLOURS, exif=b"Exif\0\0no directory"), COLOURS),
}

_WHITE = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
_COVER = (MASK * np.uint8(255))[..., None]


def _painted(inside: tuple[int, int, int], outside: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.where(MASK[..., None], np.uint8(inside), np.uint8(outside))


MASKS: dict[str, Callable[[], OddFile]] = {
    "grey": lambda: OddFile(saved(_COVER), MASK),
    "bilevel": lambda: OddFile(saved(Image.fromarray(MASK)), MASK),
    "just above and below mid-grey": lambda: OddFile(
        saved(_painted((128,) * 3, (127,) * 3)[..., 0]), MASK, is_grey=True
    ),
    "16 bits": lambda: OddFile(deep_png(np.where(_COVER, 65535, 0).astype(np.uint16)), MASK),
    "white on transparent": lambda: OddFile(saved(with_alpha(_WHITE, _COVER)), MASK),
    "white on transparent, 16 bits": lambda: OddFile(
        deep_png(with_alpha(_WHITE.astype(np.uint16) * 257, _COVER)), MASK
    ),
    "grey and alpha": lambda: OddFile(saved(np.dstack([_WHITE[..., :1], _COVER])), MASK),
    "palette on transparent": lambda: OddFile(
        saved(Image.fromarray(_painted((255,) * 3, (0, 0, 255))).quantize(2), transparency=_index_outside()), MASK
    ),
    "green on magenta": lambda: OddFile(saved(_painted((0, 255, 0), (255, 0, 255))), MASK, is_grey=True),
    "yellow on blue": lambda: OddFile(saved(_painted((255, 255, 0), (0, 0, 255))), MASK, is_grey=True),
    "cmyk": lambda: OddFile(saved(Image.fromarray(_painted((255,) * 3, (0,) * 3)).convert("CMYK"), "TIFF"), MASK),
    "turned": lambda: OddFile(turned(_COVER, "PNG", 6), MASK),
}


def _index_outside() -> int:
    return Image.fromarray(_painted((255,) * 3, (0, 0, 255))).quantize(2).getpixel((0, 0))
