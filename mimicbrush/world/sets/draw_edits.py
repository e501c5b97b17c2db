"""Random edits of a source whose true result is known: by a reference, by a sentence, by a flow, and of a clip.

Each is drawn by its number. Edits with seen words have a held-out combination as their truth, and a combination of the
training as their source; backgrounds that no training shows are among them, but captions do not name these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from mimicbrush.benchmark_layout import SampleFacts, Vocabulary
from mimicbrush.seeds import seed_of
from mimicbrush.world.renderer.random_scenes import random_motion
from mimicbrush.world.renderer.scene import Scene
from mimicbrush.world.renderer.scene_motion import SceneMotion
from mimicbrush.world.sets.draws import draw_scene, with_steady_light
from mimicbrush.world.sets.edit_ingredients import (
    EDITED_PARTS,
    draw_background,
    draw_material,
    draw_move,
    draw_other_material,
    draw_other_object,
    list_targets,
    nameable,
    pick,
    with_subject,
)
from mimicbrush.world.sets.edits import Edit
from mimicbrush.world.sets.splits import MATERIALS, Combination
from mimicbrush.world.sets.vocabulary import Description, noun_phrase, write_caption

NUM_FRAMES = 8
"""Frames of an edited clip."""
FPS = 8.0
"""Its frames a second."""
RESIZED = 1.45
"""Ratio of the two objects' sides when a clip's object is replaced by a larger or a smaller one."""

Kind = Literal["reference", "parts", "text", "motion", "video", "surface"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def draw_edits(kind: Kind, number: int, *, seed: int, vocabulary: Vocabulary, size: int) -> list[Edit]:
    """Draw the edits of a kind and number, which form a group, for pictures of this size."""
    if kind == "motion":
        return draw_motion_edits(number, seed=seed, vocabulary=vocabulary, size=size)
    return DRAWN_AT_ANY_SIZE[kind](number, seed=seed, vocabulary=vocabulary)


class Drawing:
    """Name, target, background and random numbers of the edits of one kind and number."""

    def __init__(self, kind: Kind, number: int, *, seed: int, vocabulary: Vocabulary) -> None:
        self.generator = np.random.default_rng(seed_of(seed, kind, vocabulary, number))
        self.vocabulary = vocabulary
        self.name = f"{number:03d}" if vocabulary == "seen" else f"unseen_{number:03d}"
        fits = [each for each in list_targets(kind, vocabulary, seed) if TARGETS.get(kind, bool)(each)]
        self.target: Combination = fits[number % len(fits)]
        self.background = draw_background(self.generator)

    def draw(self, combination: Combination) -> Scene:
        """Draw a scene of a combination before this edit's background."""
        return draw_scene(combination, self.background, self.generator)

    def draw_reference(self, combination: Combination) -> Scene:
        """Draw a scene of a combination before another background."""
        return draw_scene(combination, draw_background(self.generator, but=self.background), self.generator)

    def facts(self, source: Combination, truth: Combination) -> SampleFacts:
        """Name what is seen before and after the edit."""
        named = nameable(self.background, self.vocabulary)
        return SampleFacts(
            scoring="stochastic" if MATERIALS[truth.material].is_stochastic else "exact",
            vocabulary=self.vocabulary,
            prompt=write_caption(Description(*truth, named)),
            source_prompt=write_caption(Description(*source, named)),
            object=truth.object,
            material=truth.material,
            source_object=source.object,
            source_material=source.material,
        )


def draw_reference_edits(number: int, *, seed: int, vocabulary: Vocabulary) -> list[Edit]:
    """Draw two edits of one source: the reference shows the same object in the new material, or another object."""
    drawing = Drawing("reference", number, seed=seed, vocabulary=vocabulary)
    source, truth, facts = _draw_new_material(drawing)
    edits = []
    for row, shown in (("same", drawing.target), ("other", draw_other_object(drawing.target, drawing.generator))):
        reference = with_subject(drawing.draw_reference(shown), material=truth.subject.material)
        edits.append(
            Edit(
                id=f"{drawing.name}_{row}",
                group=drawing.name,
                facts=replace(facts, reference_object=shown.object),
                source=(source,),
                truth=(truth,),
                reference=reference,
            )
        )
    return edits


def draw_part_edits(number: int, *, seed: int, vocabulary: Vocabulary) -> list[Edit]:
    """Draw an edit in which one part of the object takes the material of a reference of the same object."""
    drawing = Drawing("parts", number, seed=seed, vocabulary=vocabulary)
    source, whole, facts = _draw_new_material(drawing)
    part = pick(EDITED_PARTS[drawing.target.object], drawing.generator)
    reference = with_subject(drawing.draw_reference(drawing.target), material=whole.subject.material)
    return [
        Edit(
            id=f"{drawing.name}_{part.replace(' ', '_')}",
            group=drawing.name,
            # No caption names two materials, and no judge can name the one of a part.
            facts=replace(facts, prompt=None, source_prompt=None, material=None, reference_object=facts.object),
            source=(source,),
            truth=(with_subject(source, part_materials={part: whole.subject.material}),),
            reference=reference,
            part=part,
        )
    ]


def draw_text_edits(number: int, *, seed: int, vocabulary: Vocabulary) -> list[Edit]:
    """Draw an edit in which the object takes the material that a sentence names."""
    drawing = Drawing("text", number, seed=seed, vocabulary=vocabulary)
    source, truth, facts = _draw_new_material(drawing)
    facts = replace(facts, region_prompt=facts.object, screen_prompt=noun_phrase(*drawing.target))
    return [Edit(id=drawing.name, group=drawing.name, facts=facts, source=(source,), truth=(truth,))]


def draw_motion_edits(number: int, *, seed: int, vocabulary: Vocabulary, size: int) -> list[Edit]:
    """Draw an edit in which the object moves by a flow, in pictures of this size."""
    drawing = Drawing("motion", number, seed=seed, vocabulary=vocabulary)
    scene = drawing.draw(drawing.target)
    source, truth = (with_subject(scene, pose=pose) for pose in draw_move(number, size, drawing.generator))
    # The object keeps its material, so that the truth is exact even for a stochastic one.
    facts = replace(drawing.facts(drawing.target, drawing.target), scoring="exact")
    return [
        Edit(
            id=drawing.name,
            group=drawing.name,
            facts=facts,
            source=(source,),
            truth=(truth,),
            flow=((source, truth),),
        )
    ]


def draw_video_edits(number: int, *, seed: int, vocabulary: Vocabulary) -> list[Edit]:
    """Draw an edit in which another object replaces that of a clip: a larger one if `number` is even."""
    drawing = Drawing("video", number, seed=seed, vocabulary=vocabulary)
    target, is_larger = drawing.target, number % 2 == 0
    other = draw_other_object(target, drawing.generator)
    replaced = other._replace(material=draw_other_material(other, drawing.generator))
    # The larger of the two objects is drawn first, so that both stay inside the picture.
    large, small = (target, replaced) if is_larger else (replaced, target)
    large_motion = with_steady_light(random_motion(drawing.generator, drawing.draw(large)))
    material = draw_material(small.material, drawing.generator)
    small_motion = SceneMotion(
        tuple(
            with_subject(each, silhouette=small.object, material=material, scale=1 / RESIZED)
            for each in large_motion.keyframes
        )
    )
    motions = (small_motion, large_motion) if is_larger else (large_motion, small_motion)
    source, truth = (motion.scenes(NUM_FRAMES) for motion in motions)
    reference = with_subject(drawing.draw_reference(target), material=truth[0].subject.material)
    return [
        Edit(
            id=f"{drawing.name}_{'larger' if is_larger else 'smaller'}",
            group=drawing.name,
            facts=replace(drawing.facts(replaced, target), fps=FPS),
            source=tuple(source),
            truth=tuple(truth),
            reference=reference,
            flow=tuple(pairwise(truth)),
        )
    ]


def draw_surface_edits(number: int, *, seed: int, vocabulary: Vocabulary) -> list[Edit]:
    """Draw an edit of a clip in which the object takes another material, and moves as before."""
    drawing = Drawing("surface", number, seed=seed, vocabulary=vocabulary)
    before = drawing.target._replace(material=draw_other_material(drawing.target, drawing.generator))
    motion = with_steady_light(random_motion(drawing.generator, drawing.draw(before)))
    material = draw_material(drawing.target.material, drawing.generator)
    source = motion.scenes(NUM_FRAMES)
    truth = tuple(with_subject(scene, material=material) for scene in source)
    facts = replace(
        drawing.facts(before, drawing.target),
        fps=FPS,
        region_prompt=drawing.target.object,
        screen_prompt=noun_phrase(*drawing.target),
    )
    return [
        Edit(
            id=drawing.name,
            group=drawing.name,
            facts=facts,
            source=tuple(source),
            truth=truth,
            reference=with_subject(drawing.draw_reference(drawing.target), material=material),
            flow=tuple(pairwise(truth)),
        )
    ]


def _draw_new_material(drawing: Drawing) -> tuple[Scene, Scene, SampleFacts]:
    """Draw a source of the target's object in another material, and the truth in the target's."""
    before = drawing.target._replace(material=draw_other_material(drawing.target, drawing.generator))
    source = drawing.draw(before)
    truth = with_subject(source, material=draw_material(drawing.target.material, drawing.generator))
    return source, truth, drawing.facts(before, drawing.target)


def _is_exact(combination: Combination) -> bool:
    return not MATERIALS[combination.material].is_stochastic


DRAWN_AT_ANY_SIZE: dict[Kind, Callable[..., list[Edit]]] = {
    "reference": draw_reference_edits,
    "parts": draw_part_edits,
    "text": draw_text_edits,
    "video": draw_video_edits,
    "surface": draw_surface_edits,
}
TARGETS: dict[Kind, Callable[[Combination], bool]] = {
    "parts": lambda each: each.object in EDITED_PARTS,
    # Clips are few: all of them are to be compared pixel by pixel.
    "video": _is_exact,
    "surface": _is_exact,
}
"""Conditions that the targets of a kind of edit satisfy."""
