"""Files that give each photograph a box or clicks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.preconditions import EXPECTED_REGIONS, require_regions
from mimicbrush.segmentation.prompt import Click, SegmentationPrompt


def read_regions(path: Path, files: Iterable[str]) -> dict[str, SegmentationPrompt]:
    """Read each photograph's box and clicks from a CSV or a JSON file.

    JSON: {file: {"box": [x0, y0, x1, y1], "clicks": [[x, y, label], ...]}}.
    A CSV may give a photograph one box and any number of clicks, each in a row of its own.
    Raises UserError where the file does not fit, or names files that are not there.
    """
    require_regions(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        regions = _from_json(text) if path.suffix.lower() == ".json" else _from_csv(text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: {error}; {EXPECTED_REGIONS}") from None
    nowhere = sorted(file for file, region in regions.items() if region == SegmentationPrompt())
    if nowhere:
        raise UserError(f"{path}: gives {', '.join(nowhere)} neither box nor click; {EXPECTED_REGIONS}")
    unknown = sorted(regions.keys() - set(files))
    if unknown:
        raise UserError(f"{path}: names {', '.join(unknown)}, which {'is' if len(unknown) == 1 else 'are'} not there")
    return regions


def _from_json(text: str) -> dict[str, SegmentationPrompt]:
    return {
        file: SegmentationPrompt(
            box=_box(entry["box"]) if "box" in entry else None,
            clicks=tuple(_click(*click) for click in entry.get("clicks", ())),
        )
        for file, entry in json.loads(text).items()
    }


def _from_csv(text: str) -> dict[str, SegmentationPrompt]:
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
    return {file: SegmentationPrompt(box=boxes.get(file), clicks=tuple(points)) for file, points in clicks.items()}


def _box(edges: Iterable) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return x0, y0, x1, y1


def _click(x: object, y: object, label: object = 1) -> Click:
    return Click(float(x), float(y), int(label))
