"""A page on a folder of shards: what was kept and why not, the similarities, and the pairs themselves.

python data_prep/report.py runs/shards/videos
"""

from __future__ import annotations

import colorsys
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if not __package__:  # run as a script, whose own folder comes first on the path; the packages lie one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from data_prep.images import decode_image, decode_mask
from data_prep.summary import BIN_WIDTH
from mimicbrush.data.shards import FramePair, list_shards, read_pairs
from mimicbrush.errors import UserError, run_command
from mimicbrush.files import read_object
from mimicbrush.page import figure, heading, page, paragraph, strip, table

NUM_SHOWN = 24
PANEL_HEIGHT = 150
NUM_LINES = 24
NUM_NAMED = 8


def write_report(output: Path) -> Path:
    """Write `report.html` into a folder of shards; raises UserError where there is no summary.json."""
    path = output / "summary.json"
    if not path.is_file():
        raise UserError(f"{output}: holds no summary.json; run the sharding command first")
    summary = read_object(path, "pairs", "inputs", "kept", "skipped", "similarity")
    pairs = _spread(read_pairs(list_shards(output)), summary["pairs"]) if summary["pairs"] else []
    sections = [
        paragraph(_headline(summary)),
        heading("Inputs"),
        _reasons(summary),
        heading("Similarity"),
        *_similarities(summary),
        heading("Pairs"),
        paragraph(
            "Source left, reference right; lines join matched keypoints, red outlines are object masks.", note=True
        ),
        strip([figure(_picture(pair), _caption(pair)) for pair in pairs]),
        heading("Run"),
        table(("part", "value"), sorted(summary["versions"].items())),
    ]
    report = output / "report.html"
    report.write_text(page(f"Shards in {output.name}", sections))
    return report


def _spread(pairs: Iterable[FramePair], total: int) -> list[FramePair]:
    """Up to NUM_SHOWN pairs, evenly over all shards."""
    step = max(1, total // NUM_SHOWN)
    return [pair for number, pair in enumerate(pairs) if number % step == 0][:NUM_SHOWN]


def _headline(summary: dict) -> str:
    speed = f", {summary['inputs_per_second']} a second" if summary["inputs_per_second"] else ""
    return (
        f"{summary['pairs']} pairs from {summary['kept']} of {summary['inputs']} {summary['noun']}, in "
        f"{summary['shards']} shards. The last command did {summary['done_now']} in {summary['seconds']} s{speed}."
    )


def _reasons(summary: dict) -> str:
    rows = [("kept", summary["kept"], "")]
    for reason, names in summary["skipped"].items():
        named = ", ".join(list(names)[:NUM_NAMED])
        rows.append((reason, len(names), f"{named}, ..." if len(names) > NUM_NAMED else named))
    rows += [(f"frames: {reason}", count, "") for reason, count in summary["dropped_frames"].items()]
    decoders = ", ".join(f"{name} {count}" for name, count in summary["decoders"].items())
    if decoders:
        rows.append(("decoders of kept clips", "", decoders))
    return table(("outcome", "count", "names"), rows)


def _similarities(summary: dict) -> list[str]:
    band = summary["band"]
    sections = []
    if summary["candidates"]:
        sections += [paragraph("All candidate pairs; the shaded band is kept."), _bars(summary["candidates"], band)]
    if summary["similarity"]:
        sections += [paragraph("Chosen pairs."), _bars(summary["similarity"], band)]
    return sections or [paragraph("No similarity was measured.")]


def _bars(counts: dict[str, int], band: list[float] | None) -> str:
    """A bar chart of a histogram as SVG, in the page's own colours."""
    width, height = 720, 150
    lowest = min(0.0, *(float(name) for name in counts))
    scale = width / (1.0 - lowest)
    top = max(counts.values())
    parts = []
    if band:
        parts.append(
            f"<rect x='{(band[0] - lowest) * scale:.1f}' y='0' width='{(band[1] - band[0]) * scale:.1f}' "
            f"height='{height}' fill='#3a86ff' opacity='.13'/>"
        )
    for name, count in counts.items():
        tall = count / top * (height - 12)
        x = (float(name) - lowest) * scale
        parts.append(
            f"<rect x='{x + 1:.1f}' y='{height - tall:.1f}' width='{BIN_WIDTH * scale - 2:.1f}' height='{tall:.1f}' "
            f"fill='#3a86ff'><title>{escape(name)}: {count}</title></rect>"
        )
    for tick in np.arange(lowest, 1.01, 0.25):
        x = (tick - lowest) * scale
        parts.append(
            f"<text x='{x:.1f}' y='{height + 14}' font-size='11' text-anchor='middle' "
            f"fill='currentColor'>{tick:.2f}</text>"
        )
    return (
        f"<svg viewBox='-14 0 {width + 28} {height + 18}' style='max-width:{width}px;width:100%' role='img' "
        f"aria-label='histogram of similarity'>{''.join(parts)}</svg>"
    )


def _caption(pair: FramePair) -> str:
    if pair.similarity is None:
        return f"{pair.origin.get('group', pair.key)}: still with {len(pair.masks)} masks"
    times = pair.origin.get("times")
    gap = f", {abs(times[1] - times[0]):.1f} s apart" if times else ""
    return f"{pair.origin.get('group', pair.key)}: SSIM {pair.similarity:.2f}, {len(pair.keypoints)} matches{gap}"


def _picture(pair: FramePair) -> Image.Image:
    """Source beside reference with masks outlined and matches joined."""
    source = _outlined(decode_image(pair.source), pair.masks)
    panels = [_to_height(source)]
    if pair.reference is not None:
        panels.append(_to_height(decode_image(pair.reference)))
    canvas = np.ascontiguousarray(np.concatenate(panels, axis=1))
    if pair.reference is not None:
        _draw_matches(canvas, pair, panels[0].shape[1], panels[1].shape[1])
    return Image.fromarray(canvas)


def _outlined(image: NDArray[np.uint8], masks: list[bytes]) -> NDArray[np.uint8]:
    for encoded in masks:
        outlines, _ = cv2.findContours(
            decode_mask(encoded).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        cv2.drawContours(image, outlines, -1, (255, 40, 40), max(1, image.shape[0] // 120), cv2.LINE_AA)
    return image


def _to_height(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = max(1, round(image.shape[1] * PANEL_HEIGHT / image.shape[0]))
    return cv2.resize(image, (width, PANEL_HEIGHT), interpolation=cv2.INTER_AREA)


def _draw_matches(canvas: NDArray[np.uint8], pair: FramePair, source_width: int, reference_width: int) -> None:
    step = max(1, len(pair.keypoints) // NUM_LINES)
    shown = pair.keypoints[::step][:NUM_LINES]
    for number, (sx, sy, rx, ry) in enumerate(shown):
        hue = colorsys.hsv_to_rgb(number / len(shown), 0.9, 1.0)
        colour = tuple(int(255 * value) for value in hue)
        start = (int(sx * source_width), int(sy * PANEL_HEIGHT))
        end = (source_width + int(rx * reference_width), int(ry * PANEL_HEIGHT))
        cv2.line(canvas, start, end, colour, 1, cv2.LINE_AA)
        cv2.circle(canvas, start, 2, colour, -1, cv2.LINE_AA)
        cv2.circle(canvas, end, 2, colour, -1, cv2.LINE_AA)


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise UserError("expected one folder of shards, for example: python data_prep/report.py runs/shards/videos")
    print(f"report -> {write_report(Path(sys.argv[1]))}")


if __name__ == "__main__":
    run_command(main)
