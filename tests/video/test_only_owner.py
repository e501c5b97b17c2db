"""Only `mimicbrush.video` reads and writes clips, as the imports of every other module show."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mimicbrush" / "video"
EXEMPT = {
    # The program that preparation is compared with is written without this project's code.
    ROOT / "mimicbrush" / "bench" / "naive_preparation.py",
}
DECODERS = frozenset({"av", "decord", "imageio", "imageio_ffmpeg", "moviepy", "torchcodec", "torchvision"})
"""Packages that open clips."""
OPENCV = frozenset({"VideoCapture", "VideoWriter", "VideoWriter_fourcc"})
"""OpenCV's own means."""


def breaches(code: str) -> Iterator[str]:
    """Imports of packages that open clips, and uses of OpenCV's classes that do."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module]
        else:
            modules = []
        yield from (f"line {node.lineno}: imports {name}" for name in modules if name.partition(".")[0] in DECODERS)
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        names += [each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
        yield from (f"line {node.lineno}: {name}" for name in names if name in OPENCV)


def test_no_other_module_reads_or_writes_clips() -> None:
    paths = [*ROOT.glob("*.py"), *(ROOT / "mimicbrush").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]
    paths = [path for path in paths if path not in EXEMPT and not path.is_relative_to(PACKAGE)]
    found = {str(path.relative_to(ROOT)): list(breaches(path.read_text(encoding="utf-8"))) for path in paths}
    assert len(found) > 200
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import av",
        "from av.video.frame import VideoFrame",
        "def read():\n    import decord as reader",
        "import cv2\ncv2.VideoCapture(path)",
        "from cv2 import VideoWriter",
        "import torchvision.io as io",
    ],
)
def test_a_breach_is_found_however_it_is_written(code: str) -> None:
    assert list(breaches(code))


def test_modules_of_the_room_are_free_to_be_used() -> None:
    lines = "from mimicbrush.video.clip_reader import read_frames", "import cv2", "cv2.resize(image, size)"
    assert not list(breaches("\n".join(lines)))
