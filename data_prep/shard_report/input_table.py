"""The parts of a report about single inputs: a table of the worst ones, and clips beside those that they repeat."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.frames.images import scale_to_height, to_grey
from data_prep.records.reasons import explain
from data_prep.records.summary import name_samples
from data_prep.records.work_units import KEPT
from data_prep.shard_report.folder_scan import MAX_ROWS, MAX_SKIPPED, FolderScan, InputRow, Place
from data_prep.shard_report.pair_pictures import GAP, naming_damage, read_place
from mimicbrush.errors import spaced
from mimicbrush.files import is_there
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.perceptual_hash import perceptual_hash
from mimicbrush.pictures.reading import decode_rgb
from mimicbrush.reports.contact_sheet import join
from mimicbrush.reports.html_page import Markup, breakable, link, paragraph, span, table
from mimicbrush.reports.html_pictures import Shown, enlargeable, gallery
from mimicbrush.video.decoded_clip import THUMBNAIL_SIZE

MAX_REPEATS = 12
"""Largest number of excluded clips that are shown beside the clip that they repeat."""
THUMBNAIL_HEIGHT = 144
"""Height in which a picture in the table is stored, for a click to enlarge it, in pixels."""
EMPTY = span("", "text")
REPEAT_HEIGHT, STORED_REPEAT_HEIGHT = 110, 220
"""Height of two clips that repeat each other on the page, and as stored, in pixels."""


def input_section(scan: FolderScan, summary: Mapping, videos: Path | None) -> list[str]:
    """Tabulate the inputs that gave least, worst first. videos: their folder, to which the names are linked."""
    rows = scan.worst()
    if not rows:
        return [paragraph("The indexes name no input.")]
    pictures = {one["name"]: one["picture"] for examples in scan.examples.values() for one in examples}
    columns: dict[str, Callable[[InputRow], object]] = {
        summary["noun"].removesuffix("s"): lambda row: _name_cell(row, pictures, videos),
        "kept": lambda row: spaced(row.num_pairs),
        "dropped": lambda row: spaced(row.num_dropped) if row.num_dropped else "",
        "why": lambda row: span(breakable(_describe_reason(row, summary["near_duplicates"])), "text"),
        "shots": lambda row: spaced(row.record["shots"]) if "shots" in row.record else "",
        "treatment": lambda row: span(", ".join(describe_treatment(row.record)), "text"),
        "size": _describe_size,
    }
    cells = {title: [write(row) for row in rows] for title, write in columns.items()}
    heads = {title: span(title, "text") if title in ("why", "treatment") else title for title in columns}
    filled = [title for title, column in cells.items() if any(cell not in ("", EMPTY) for cell in column)]
    others = scan.num_inputs - len(rows)
    more = f" {spaced(others)} more {summary['noun']}, which gave as many or more, are not listed." if others else ""
    samples = name_samples(summary["noun"])
    note = (
        f"Numbers of {samples}, worst first. A click on a header sorts the table, one on a picture enlarges it.{more}"
    )
    if others:
        note += f" These {MAX_ROWS} include at most {MAX_SKIPPED} that were left out for each reason."
    return [
        paragraph(note, note=True),
        table(
            [heads[title] for title in filled],
            list(zip(*(cells[title] for title in filled), strict=True)),
            kind="sortable",
        ),
    ]


def describe_treatment(record: Mapping) -> list[str]:
    """The changes to a clip's frames before pairs were chosen, and how much of it was read, as its record states."""
    words = []
    if cropped := record.get("cropped"):
        sides = zip(cropped, ("left", "top", "right", "bottom"), strict=True)
        words.append(f"cropped by {' and '.join(f'{width} pixels {side}' for width, side in sides if width)}")
    if record.get("deinterlaced"):
        words.append("deinterlaced")
    if stretches := record.get("stretches"):
        num_read, num = stretches
        words.append(
            f"read {spaced(num_read)} of {spaced(num)} stretches" if num_read < num else f"read in {num} stretches"
        )
    if left_out := record.get("left_out_shots"):
        words.append(f"{spaced(left_out)} more {'shot' if left_out == 1 else 'shots'} not used")
    if note := record.get("note"):
        words.append(f"no object mask: {note}")
    if vouched := record.get("vouched"):
        words.append(f"{spaced(vouched)} {'pair' if vouched == 1 else 'pairs'} below the band, with verified matches")
    return words


def _describe_reason(row: InputRow, repeats: Mapping[str, str]) -> str:
    """The reason why an input was left out, or for which most of its pairs were dropped."""
    if row.name in repeats:
        return f"{explain(row.code).words}: {repeats[row.name]}"
    detail = row.record.get("detail", "")
    if row.code != KEPT:
        return f"{explain(row.code).words}{': ' if detail else ''}{detail}"
    dropped = {code: num for code, num in row.record.get("dropped_pairs", {}).items() if code != "not_needed"}
    if not dropped:
        return ""
    code = max(dropped, key=lambda each: (each != "too_close", dropped[each]))  # every clip has moments that are close
    return f"{explain(code).words} ({spaced(dropped[code])})"


def _describe_size(row: InputRow) -> str:
    width, height = row.record.get("video_size", (0, 0))
    codec = row.record.get("codec", "")
    return f"{width} x {height}{', ' if codec else ''}{codec}" if width else ""


def _name_cell(row: InputRow, pictures: Mapping[str, str], videos: Path | None) -> Markup:
    """The input's name, a link where it is a file that can be opened, below a picture of it if there is one."""
    name = breakable(row.name)
    # The name of a pair of photographs is not a path, and may be too long for one.
    if videos is not None and is_there(videos / row.name) and (videos / row.name).is_file():
        name = link((videos.resolve() / row.name).as_uri(), name)
    if row.samples and (pair := read_place(row.samples[0])):
        with naming_damage(row.shard):
            image = decode_rgb(pair.source)
    elif row.name in pictures:
        image = decode_rgb(base64.b64decode(pictures[row.name]))
    else:
        return Markup(name)
    picture = enlargeable(to_pil(scale_to_height(image, THUMBNAIL_HEIGHT)), row.name)
    return span(Markup(f"{picture}{name}"), "pictured")


def repeats_section(scan: FolderScan, repeats: Mapping[str, str]) -> list[str]:
    """Show excluded clips beside the clips that they repeat, each pair at the moments that look most alike."""
    shown = []
    for name, other in islice(repeats.items(), MAX_REPEATS):
        stored = [
            [picture for place in scan.samples.get(each, ()) for picture in _pictures(place)] for each in (name, other)
        ]
        if all(stored):
            panels = [scale_to_height(image, STORED_REPEAT_HEIGHT) for image in _most_alike(*stored)]
            picture = join([[to_pil(panel) for panel in panels]], gap=GAP)
            shown.append(Shown(picture, f"{name} repeats {other}: {len(scan.samples[name])} pairs excluded"))
    most = f" The first {MAX_REPEATS} of {spaced(len(repeats))} are shown." if len(repeats) > MAX_REPEATS else ""
    note = f"Left: what is excluded. Right: what it repeats, which has as many pixels or more.{most}"
    return [paragraph(note, note=True), gallery(shown, height=REPEAT_HEIGHT)] if shown else []


def _pictures(place: Place) -> list[NDArray[np.uint8]]:
    pair = read_place(place)
    with naming_damage(place.shard):
        return [decode_rgb(encoded) for encoded in (pair.source, pair.reference) if encoded is not None] if pair else []


def _most_alike(
    pictures: Sequence[NDArray[np.uint8]], others: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One picture of each, so that the two look most alike."""
    bits, other_bits = (np.array([_bits(picture) for picture in each]) for each in (pictures, others))
    distances = (bits[:, None] != other_bits[None]).sum(axis=2)
    first, second = np.unravel_index(int(distances.argmin()), distances.shape)
    return pictures[first], others[second]


def _bits(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = cv2.resize(to_grey(picture, THUMBNAIL_SIZE[1]), THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
    return np.unpackbits(np.frombuffer(bytes.fromhex(perceptual_hash(small)), np.uint8))
