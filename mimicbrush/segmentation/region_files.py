"""Files with a box or clicks for each photograph."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import Faults, UserError
from mimicbrush.segmentation.mask_inputs import EXPECTED_REGIONS, require_regions
from mimicbrush.segmentation.prompt import Click, SegmentationPrompt


def read_regions(path: Path, files: Iterable[str]) -> dict[str, SegmentationPrompt]:
    """Read each photograph's box and clicks from a CSV or a JSON file.

    JSON: {file: {"box": [x0, y0, x1, y1], "clicks": [[x, y, label], ...]}}.
    CSV: a photograph may have one box and any number of clicks, one in each row.
    Raises UserError that names every invalid row or entry, and every photograph that does not exist.
    """
    require_regions(path)
    faults = Faults()
    try:
        regions = _read_json(path, faults) if path.suffix.lower() == ".json" else _read_csv(path, faults)
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: {error}; {EXPECTED_REGIONS}") from None
    unknown = sorted(regions.keys() - set(files))
    faults.check(not unknown, f"names {', '.join(unknown)}, which {'is' if len(unknown) == 1 else 'are'} not there")
    if faults.found:
        raise UserError(*(f"{path}: {fault}" for fault in faults.found))
    return regions


def _read_json(path: Path, faults: Faults) -> dict[str, SegmentationPrompt]:
    regions = {}
    for file, entry in json.loads(path.read_text(encoding="utf-8-sig")).items():
        with _collect(file, faults):
            regions[file] = SegmentationPrompt(
                box=_box(entry["box"]) if "box" in entry else None,
                clicks=tuple(_click(*click) for click in entry.get("clicks", ())),
            )
            if regions[file] == SegmentationPrompt():
                raise ValueError("has neither box nor click")
    return regions


def _read_csv(path: Path, faults: Faults) -> dict[str, SegmentationPrompt]:
    boxes: dict[str, tuple] = {}
    clicks: dict[str, list[Click]] = {}
    for line, row in read_rows(path, required=("file",)).items():
        file = row["file"]
        clicks.setdefault(file, [])
        with _collect(f"line {line}", faults):
            if row.get("x0"):
                if file in boxes:
                    raise ValueError(f"gives {file} a second box")
                boxes[file] = _box([row.get(edge) for edge in ("x0", "y0", "x1", "y1")])
            elif row.get("x"):
                clicks[file].append(_click(row["x"], row.get("y"), row.get("label") or 1))
            else:
                raise ValueError(f"gives {file} neither x0 nor x")
    return {file: SegmentationPrompt(box=boxes.get(file), clicks=tuple(points)) for file, points in clicks.items()}


@contextmanager
def _collect(place: str, faults: Faults) -> Iterator[None]:
    """Collect errors of the block as faults at this place of the file."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        faults.add(f"{place}: {error}; {EXPECTED_REGIONS}")


def _box(edges: Iterable) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return x0, y0, x1, y1


def _click(x: object, y: object, label: object = 1) -> Click:
    return Click(float(x), float(y), int(label))
