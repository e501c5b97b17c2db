"""Boxes and clicks that tell where on a photograph the mask belongs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mimicbrush.errors import UserError

EXPECTED = "expected a CSV with columns file and x0, y0, x1, y1 (a box) or x, y[, label] (a click), or a JSON object"


class Click(NamedTuple):
    """A point inside (label 1) or outside (label 0) the region."""

    x: float
    y: float
    label: int = 1


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box (x0, y0, x1, y1), or clicks, or both; pixels of the upright photograph."""

    box: tuple[float, float, float, float] | None = None
    clicks: tuple[Click, ...] = ()

    def scaled(self, scale: float) -> Region:
        box = self.box and tuple(scale * edge for edge in self.box)
        return Region(box=box, clicks=tuple(Click(scale * c.x, scale * c.y, c.label) for c in self.clicks))

    def fits(self, width: int, height: int) -> bool:
        """Whether it lies on a picture of that size, and the box holds something."""
        points = [(c.x, c.y) for c in self.clicks]
        if self.box:
            x0, y0, x1, y1 = self.box
            if x0 >= x1 or y0 >= y1:
                return False
            points += [(x0, y0), (x1, y1)]
        return all(0 <= x <= width and 0 <= y <= height for x, y in points)

    def describe(self) -> dict:
        """As JSON."""
        box = {"box": list(self.box)} if self.box else {}
        return box | ({"clicks": [list(click) for click in self.clicks]} if self.clicks else {})


def read_regions(path: Path, files: Iterable[str]) -> dict[str, Region]:
    """Regions by photograph, from a CSV or from JSON {file: {"box": [x0, y0, x1, y1], "clicks": [[x, y, label], ...]}}.

    A CSV may give a photograph one box and any number of clicks, each in a row of its own.
    Raises UserError where the file does not fit, or names files that are not there.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file of boxes or clicks; {EXPECTED}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        regions = _from_json(text) if path.suffix.lower() == ".json" else _from_csv(text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: {error}; {EXPECTED}") from None
    nowhere = sorted(file for file, region in regions.items() if region == Region())
    if nowhere:
        raise UserError(f"{path}: gives {', '.join(nowhere)} neither box nor click; {EXPECTED}")
    unknown = sorted(regions.keys() - set(files))
    if unknown:
        raise UserError(f"{path}: names {', '.join(unknown)}, which {'is' if len(unknown) == 1 else 'are'} not there")
    return regions


def _from_json(text: str) -> dict[str, Region]:
    return {
        file: Region(
            box=_box(entry["box"]) if "box" in entry else None,
            clicks=tuple(_click(*click) for click in entry.get("clicks", ())),
        )
        for file, entry in json.loads(text).items()
    }


def _from_csv(text: str) -> dict[str, Region]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if "file" not in (reader.fieldnames or ()):
        raise ValueError(f"has columns {reader.fieldnames}")
    boxes: dict[str, tuple] = {}
    clicks: dict[str, list[Click]] = {}
    for row in reader:
        file = row["file"]
        clicks.setdefault(file, [])
        if row.get("x0"):
            if file in boxes:
                raise ValueError(f"gives {file} two boxes")
            boxes[file] = _box([row[edge] for edge in ("x0", "y0", "x1", "y1")])
        elif row.get("x"):
            clicks[file].append(_click(row["x"], row["y"], row.get("label") or 1))
        else:
            raise ValueError(f"gives {file} neither x0 nor x")
    return {file: Region(box=boxes.get(file), clicks=tuple(points)) for file, points in clicks.items()}


def _box(edges: Iterable) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return x0, y0, x1, y1


def _click(x: object, y: object, label: object = 1) -> Click:
    return Click(float(x), float(y), int(label))
