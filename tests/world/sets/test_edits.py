"""The truth of an edit is what rendering the source with the described change gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mimicbrush.benchmark_layout import NEEDED_FACTS
from mimicbrush.world.renderer.materials import material_named
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Background, Pose, Scene, SceneObject
from mimicbrush.world.sets.draw_edits import (
    FPS,
    draw_motion_edits,
    draw_part_edits,
    draw_reference_edits,
    draw_surface_edits,
    draw_text_edits,
    draw_video_edits,
)
from mimicbrush.world.sets.draws import draw_judge_still, draw_still
from mimicbrush.world.sets.edit_ingredients import EDITED_PARTS, MOVES
from mimicbrush.world.sets.edits import Edit, render_edit, to_8_bits
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import SEEN_WORDS, parse_caption, split_words

SIZE = 32
SEEN = {"seed": 0, "vocabulary": "seen"}
UNSEEN = {"seed": 0, "vocabulary": "unseen"}


def draw_motion(number: int, **kind: object) -> list[Edit]:
    return draw_motion_edits(number, size=SIZE, **kind)


ALL_KINDS = pytest.mark.parametrize(
    "draw", [draw_reference_edits, draw_part_edits, draw_text_edits, draw_motion, draw_video_edits, draw_surface_edits]
)


@ALL_KINDS
def test_targets_are_held_out_or_unseen_and_sources_are_not(draw: Callable[..., list[Edit]]) -> None:
    for number in range(12):
        for edit in draw(number, **SEEN):
            subject = edit.truth[0].subject
            material = next(iter(subject.part_materials.values()), subject.material)
            assert Combination(subject.silhouette, material.name).split == "held_out"
            assert edit.facts.vocabulary == "seen"
            prompts = (edit.facts.prompt, edit.facts.source_prompt, edit.facts.region_prompt, edit.facts.screen_prompt)
            assert set(split_words(" ".join(filter(None, prompts)))) <= SEEN_WORDS
            source = edit.source[0].subject
            if draw is not draw_motion:
                assert Combination(source.silhouette, source.material.name).split == "training"
        (edit, *_) = draw(number, **UNSEEN)
        assert edit.facts.vocabulary == "unseen"
        assert edit.id.startswith("unseen_")


@ALL_KINDS
def test_an_edit_is_drawn_again_by_its_number(draw: Callable[..., list[Edit]]) -> None:
    assert draw(3, **SEEN) == draw(3, **SEEN)
    assert draw(3, **SEEN) != draw(3, seed=1, vocabulary="seen")


@ALL_KINDS
def test_the_region_covers_every_change(draw: Callable[..., list[Edit]]) -> None:
    for number in (0, 1):
        for edit in draw(number, **SEEN):
            rendered = render_edit(edit, SIZE)
            changed = (rendered.source != rendered.truth).any(axis=-1)
            assert changed.any()
            assert not (changed & ~rendered.mask).any()
            assert not (rendered.truth_mask & ~rendered.mask).any()
            assert rendered.truth_mask.any()
            assert rendered.object_mask.any()
            assert not rendered.mask.all()


def test_the_sentence_determines_the_truth() -> None:
    exact = [edit for number in range(8) for edit in draw_text_edits(number, **SEEN) if edit.facts.scoring == "exact"]
    assert len(exact) > 3
    for edit in exact:
        described = parse_caption(edit.facts.prompt)
        (source,) = edit.source
        subject = replace(source.subject, material=material_named(described.material))
        again = render(replace(source, objects=(subject,)), SIZE).picture
        assert np.array_equal(to_8_bits(again), render_edit(edit, SIZE).truth[0])
        assert described.object == edit.facts.region_prompt == source.subject.silhouette
        assert edit.facts.screen_prompt in edit.facts.prompt


def test_a_clip_takes_another_material_and_moves_as_before() -> None:
    for number in range(3):
        (edit,) = draw_surface_edits(number, **SEEN)
        assert set(NEEDED_FACTS["video"]) <= {name for name, value in vars(edit.facts).items() if value is not None}
        assert len(edit.source) == len(edit.truth) == 8 and len(edit.flow) == 7 and edit.facts.fps == FPS
        for before, after in zip(edit.source, edit.truth, strict=True):
            assert before.subject.pose == after.subject.pose and before.subject.material != after.subject.material
            assert replace(after, objects=before.objects) == before
        assert edit.reference.subject.material == edit.truth[0].subject.material


def test_the_two_references_of_a_source_share_its_truth() -> None:
    for number in range(6):
        same, other = draw_reference_edits(number, **SEEN)
        assert same.source == other.source
        assert same.truth == other.truth
        assert same.group == other.group
        assert same.reference.subject.silhouette == same.source[0].subject.silhouette == same.facts.reference_object
        assert other.reference.subject.silhouette == other.facts.reference_object != other.facts.object
        for edit in (same, other):
            assert edit.reference.subject.material == edit.truth[0].subject.material
            assert edit.reference.background.material != edit.source[0].background.material
            assert edit.truth[0].subject.pose == edit.source[0].subject.pose


def test_edited_parts_are_neither_tiny_nor_nearly_all() -> None:
    for name, parts in EDITED_PARTS.items():
        subject = SceneObject(silhouette=name, material=material_named("red"), pose=Pose(scale=0.45))
        rendered = render(Scene(background=Background(material=material_named("grey")), objects=(subject,)), SIZE)
        for part in parts:
            assert 0.15 < rendered.part_masks[part].sum() / rendered.mask.sum() < 0.8


def test_only_the_part_takes_the_material() -> None:
    (edit,) = draw_part_edits(0, **SEEN)
    rendered = render_edit(edit, SIZE)
    (scene,) = edit.source
    part = render(scene, SIZE).part_masks[edit.part]
    assert np.array_equal(rendered.truth_mask[0], part >= 0.5)
    assert np.array_equal(rendered.source[0][part == 0], rendered.truth[0][part == 0])
    assert rendered.reference_mask.sum() < render(edit.reference, SIZE).mask.sum()


def test_a_shift_by_whole_pixels_moves_the_pixels() -> None:
    number = MOVES.index("shift")
    (edit,) = draw_motion(number, **SEEN)
    even = [replace(scene, light=replace(scene.light, shadow=0.0)) for scene in (*edit.source, *edit.truth)]
    rendered = render_edit(replace(edit, source=(even[0],), truth=(even[1],), flow=((even[0], even[1]),)), SIZE)
    inside = render(even[0], SIZE).mask == 1
    moved = rendered.flow[0][:, inside]
    right, down = np.round(moved[:, 0]).astype(int)
    assert max(abs(right), abs(down)) >= 2
    rows, columns = np.nonzero(inside)
    assert np.abs(moved - [[right], [down]]).max() < 1e-4
    difference = rendered.truth[0][rows + down, columns + right].astype(int) - rendered.source[0][rows, columns]
    assert np.abs(difference).max() <= 1
    # The background keeps its place.
    assert not rendered.flow[0][:, render(even[0], SIZE).mask == 0].any()


def test_a_clip_keeps_its_motion_and_changes_its_object() -> None:
    for number, ratio in ((0, 1.45), (1, 1 / 1.45)):
        (edit,) = draw_video_edits(number, **SEEN)
        assert len(edit.source) == len(edit.truth) == 8
        assert len(edit.flow) == 7
        assert edit.facts.fps == FPS
        assert edit.facts.source_object != edit.facts.object == edit.reference.subject.silhouette
        for source, truth in zip(edit.source, edit.truth, strict=True):
            before, after = source.subject.pose, truth.subject.pose
            assert (after.x, after.y, after.angle) == pytest.approx((before.x, before.y, before.angle))
            assert after.scale / before.scale == pytest.approx(ratio)
            assert (source.background, source.camera, source.light) == (truth.background, truth.camera, truth.light)
        rendered = render_edit(edit, SIZE)
        assert rendered.flow.shape == (7, 2, SIZE, SIZE)
        assert rendered.visible.shape == (7, 1, SIZE, SIZE)
        assert rendered.source.shape == rendered.truth.shape == (8, SIZE, SIZE, 3)


@pytest.mark.parametrize(("draw", "task"), [(draw_text_edits, "text"), (draw_video_edits, "video")])
def test_facts_are_those_that_the_evaluation_needs(draw: Callable[..., list[Edit]], task: str) -> None:
    (edit,) = draw(0, **SEEN)
    assert all(getattr(edit.facts, name) for name in NEEDED_FACTS[task])


def test_stills_differ_by_number_purpose_and_seed() -> None:
    drawn = [draw_still(0, seed=0), draw_still(1, seed=0), draw_still(0, seed=1), draw_still(0, seed=0, purpose="clip")]
    assert len({each.scene.subject.pose for each in drawn}) == 4
    assert draw_still(1, seed=0) == drawn[1]


def test_the_judge_sees_everything_and_is_tested_on_other_scenes() -> None:
    trained = [draw_judge_still(number, seed=0) for number in range(400)]
    tested = [draw_judge_still(number, seed=0, is_held_out=True) for number in range(400)]
    for stills in (trained, tested):
        splits = {Combination(*still.description[:2]).split for still in stills}
        assert splits == {"training", "held_out", "unseen"}
    assert not {still.scene.subject.pose for still in trained} & {still.scene.subject.pose for still in tested}
    assert {still.description.background for still in tested} > {still.description.background for still in trained}
