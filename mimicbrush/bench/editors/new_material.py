"""Pairs and edits of a material that the networks of the small world have never seen, to measure fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.world.write_sets import EditTask, write_edit, write_facts
from mimicbrush.bench.editors.config import NewMaterialConfig
from mimicbrush.benchmark_layout import MASK, REFERENCE, SOURCE, SampleFacts
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.pictures.writing import write_frames
from mimicbrush.progress import progress_bar
from mimicbrush.run_folder import claim
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.sets.draws import draw_scene
from mimicbrush.world.sets.edit_ingredients import (
    draw_background,
    draw_material,
    draw_other_material,
    draw_other_object,
    with_subject,
)
from mimicbrush.world.sets.edits import MARGIN, Edit, to_8_bits
from mimicbrush.world.sets.splits import MATERIALS, SEEN_OBJECTS, Combination, is_unseen_material

PAIRS, HELDOUT_PAIRS, SET = "pairs", "heldout_pairs", "set"
"""Folders of the output."""


class NewMaterialScenes(NamedTuple):
    """Scenes of one number: an object in the new material, and two others that show the material."""

    source: Scene
    same_object: Scene
    other_object: Scene
    combination: Combination
    other_name: str
    """The other object."""


def render_new_material(config: NewMaterialConfig) -> str:
    """Render pairs and set; what is there is rendered again to the same bytes.

    Raises UserError where the networks have seen the material, or where it differs at each drawing.
    """
    require_new(config.material)
    with held(config.output):
        claim(config.output, config)
        folders = ((PAIRS, config.num_pairs, 0), (HELDOUT_PAIRS, config.num_heldout_pairs, config.num_pairs))
        for folder, num, first in folders:
            for number in progress_bar(range(num), desc=folder.replace("_", " "), unit="pair"):
                # Training recognises a pair by its name, so names differ across both folders.
                path = config.output / folder / f"{first + number:03d}"
                _write_pair(path, draw(folder, number, config), config.size, shows_other=number % 2 == 1)
        edits = [edit for number in range(config.num_sources) for edit in draw_edits(number, config)]
        for edit in progress_bar(edits, desc="edits", unit="edit"):
            write_edit(EditTask(config.output / SET, edit), size=config.size)
        write_facts(config.output / SET, edits)
    return (
        f"{config.material}: {config.num_pairs} pairs, {config.num_heldout_pairs} held out, and {len(edits)} edits of"
        f" {config.num_sources} sources -> {config.output}"
    )


def require_new(material: str) -> None:
    """Raise UserError where a name is no unseen material whose words determine every picture of it."""
    allowed = [name for name, each in MATERIALS.items() if is_unseen_material(name) and not each.is_stochastic]
    if material not in allowed:
        raise UserError(f"material is {material}, expected one that no training shows: {', '.join(sorted(allowed))}")


def draw(purpose: str, number: int, config: NewMaterialConfig) -> NewMaterialScenes:
    """Draw the scenes of a number; each purpose has its own."""
    generator = np.random.default_rng(seed_of(config.seed, f"new material, {purpose}", number))
    combination = Combination(SEEN_OBJECTS[number % len(SEEN_OBJECTS)], config.material)
    other = draw_other_object(combination, generator)
    background = draw_background(generator)
    source = draw_scene(combination, background, generator)
    shown = [draw_scene(each, draw_background(generator, but=background), generator) for each in (combination, other)]
    return NewMaterialScenes(source, *shown, combination, other.object)


def draw_edits(number: int, config: NewMaterialConfig) -> list[Edit]:
    """Draw two edits of one source in a seen material, by references of the same and of another object."""
    drawn = draw(SET, number, config)
    generator = np.random.default_rng(seed_of(config.seed, "new material, source", number))
    before = draw_other_material(drawn.combination, generator)
    source = with_subject(drawn.source, material=draw_material(before, generator))
    facts = SampleFacts(
        scoring="exact",
        vocabulary="unseen",
        prompt=None,
        object=drawn.combination.object,
        material=drawn.combination.material,
        source_object=drawn.combination.object,
        source_material=before,
    )
    name = f"{number:03d}"
    references = {
        "same": (drawn.same_object, drawn.combination.object),
        "other": (drawn.other_object, drawn.other_name),
    }
    return [
        Edit(
            id=f"{name}_{kind}",
            group=name,
            facts=replace(facts, reference_object=shown),
            source=(source,),
            truth=(drawn.source,),
            reference=reference,
        )
        for kind, (reference, shown) in references.items()
    ]


def _write_pair(path: Path, drawn: NewMaterialScenes, size: int, *, shows_other: bool) -> None:
    """Write a source with its mask, and a reference of the same object or of another one; path: without suffix."""
    shown = drawn.other_object if shows_other else drawn.same_object
    source, reference = (render(scene, size) for scene in (drawn.source, shown))
    mask: NDArray[np.bool_] = grow(source.mask > 0, MARGIN)
    pictures = {SOURCE: to_8_bits(source.picture), MASK: mask, REFERENCE: to_8_bits(reference.picture)}
    for suffix, picture in pictures.items():
        write_frames(picture[None], path.with_name(f"{path.name}{suffix}"))
