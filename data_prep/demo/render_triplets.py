"""Render benchmark triplets in the released layout: texture transfer within one photograph and between two."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.demo.camera import CameraView, Grade, lit, look, look_at_mask, overhang, random_grade, random_light
from data_prep.demo.demo_photographs import HELD_OUT, DemoPhotograph, NamedRegion, load, region_mask
from mimicbrush.benchmark_layout import GROUPS, PARTS, PROMPTS, TRACK_FOLDERS, ReleasedTrack, set_folder
from mimicbrush.files import whole, write_json
from mimicbrush.pictures.mask_geometry import count_touched_sides, longer_side, mask_box
from mimicbrush.pictures.writing import encode_png
from mimicbrush.seeds import seed_of_input

MIN_AREA = 0.06
"""Smallest share of a picture that its mask covers."""


class Subject(NamedTuple):
    """A region of a photograph."""

    photograph: DemoPhotograph
    region: NamedRegion


class DemoTriplet(NamedTuple):
    """One benchmark sample to render."""

    folder: Path
    track: ReleasedTrack
    number: str
    source: Subject
    reference: Subject


def plan_triplets(benchmark: Path, num_each: int) -> list[DemoTriplet]:
    """List `num_each` inner-ID and as many inter-ID triplets of regions of the held-out photographs."""
    subjects = [Subject(photo, region) for photo in HELD_OUT.values() for region in photo.regions]
    triplets = []
    for number in range(num_each):
        source = subjects[number % len(subjects)]
        others = [subject for subject in subjects if subject.photograph.file != source.photograph.file]
        # Photographs have two regions each: a step of 3 pairs a source with another photograph each time.
        reference = others[(3 * number) % len(others)]
        name = f"{number:03d}"
        triplets.append(DemoTriplet(set_folder(benchmark, "texture", "inner_id"), "inner_id", name, source, source))
        triplets.append(DemoTriplet(set_folder(benchmark, "texture", "inter_id"), "inter_id", name, source, reference))
    return triplets


def write_texts(triplets: list[DemoTriplet]) -> None:
    """Write `prompts.json` of the inter-ID set and `groups.json` of both sets.

    A prompt describes the edited picture, with the reference's part between # signs; the group is the source's
    photograph.
    """
    for track in TRACK_FOLDERS:
        members = [triplet for triplet in triplets if triplet.track == track]
        folder = members[0].folder
        write_json({triplet.number: triplet.source.photograph.file for triplet in members}, folder / GROUPS)
        if track == "inter_id":
            prompts = {
                triplet.number: f"{triplet.source.region.name} with the texture of #{triplet.reference.region.name}#"
                for triplet in members
            }
            write_json(prompts, folder / PROMPTS)


def is_rendered(triplet: DemoTriplet) -> bool:
    """Whether all four files of a triplet exist."""
    return all((triplet.folder / f"{triplet.number}{suffix}").is_file() for suffix in PARTS)


def render_triplet(triplet: DemoTriplet, *, size: int, seed: int) -> None:
    """Render the four pictures of a triplet; inner-ID views share a colour grade, inter-ID views do not."""
    inner = triplet.track == "inner_id"
    generator = np.random.default_rng(seed_of_input(seed, f"{triplet.folder.name}/{triplet.number}"))
    source_grade = random_grade(load(triplet.source.photograph), generator)
    reference_grade = source_grade if inner else random_grade(load(triplet.reference.photograph), generator)
    source = _picture(triplet.source, source_grade, size, generator)
    reference = _picture(triplet.reference, reference_grade, size, generator)
    triplet.folder.mkdir(parents=True, exist_ok=True)
    for suffix, image in zip(PARTS, (*source, *reference), strict=True):
        _write_png(image, triplet.folder / f"{triplet.number}{suffix}")


def _picture(subject: Subject, grade: Grade, size: int, generator: np.random.Generator) -> tuple:
    """Render a (size, size, 3) view of a region, and its (size, size) mask."""
    photograph = load(subject.photograph)
    full_mask = region_mask(subject.region, *photograph.shape[:2])
    view = _view_of(full_mask, size, generator)
    image = lit(look(grade(photograph), view, size), random_light(generator))
    return image, look_at_mask(full_mask, view, size).astype(np.uint8) * 255


def _view_of(mask: NDArray[np.uint8], size: int, generator: np.random.Generator) -> CameraView:
    """Draw a view of the whole region: of many, the one that reaches least beyond the photograph and shows enough."""
    rows, columns = box = mask_box(mask > 0)
    limit = min(mask.shape)
    draws = []
    for _ in range(60):
        side = min(limit, longer_side(box) * generator.uniform(1.15, 1.6))
        view = CameraView(
            x=(columns.start + columns.stop) / 2 + generator.uniform(-0.12, 0.12) * side,
            y=(rows.start + rows.stop) / 2 + generator.uniform(-0.12, 0.12) * side,
            side=side,
            angle=generator.uniform(-18, 18),
            tilt_x=generator.uniform(-0.15, 0.15),
            tilt_y=generator.uniform(-0.15, 0.15),
        )
        seen = look_at_mask(mask, view, size)
        cut = count_touched_sides(seen) > 0 or seen.mean() < MIN_AREA
        draws.append((overhang(view, *mask.shape) + 0.1 * float(cut), view))
    return min(draws)[1]


def _write_png(image: NDArray[np.uint8], path: Path) -> None:
    with whole(path) as partial:
        partial.write_bytes(encode_png(image))
