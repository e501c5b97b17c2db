"""Only `mimicbrush.reports` draws charts and contact sheets, as the source of every other module shows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mimicbrush" / "reports"
ONLY_HERE = (
    "import matplotlib",
    "from matplotlib",
    "ImageDraw",
    "ImageFont",
    "<svg",
    "<table",
    "<figure",
    "data:image/",
    "| ---",
)
"""Source code that draws, lays out or inlines."""
FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?: +.*\n|\n(?= ))+", re.MULTILINE)
"""Imports for annotations alone."""


def test_other_packages_neither_draw_charts_nor_lay_out_pictures():
    paths = [*ROOT.glob("*.py"), *(ROOT / "mimicbrush").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]
    found = []
    for path in paths:
        if not path.is_relative_to(PACKAGE):
            code = FOR_TYPES.sub("", path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(ROOT)}: {part}" for part in ONLY_HERE if part in code]
    assert found == []
