"""Similarity by the small world's CLIP: it tells the world's objects apart, and is named in reports."""

from __future__ import annotations

import numpy as np
import pytest

from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import FollowingFrame
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.materials import material_named
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Background, Scene, SceneObject
from mimicbrush.world.sets.edits import to_8_bits
from tests.evaluation.metrics.edits import make_true_edit, score, value


def ball(material: str) -> np.ndarray:
    wall = Background(material=BACKGROUNDS["a cream wall"])
    scene = Scene(background=wall, objects=(SceneObject(silhouette="ball", material=material_named(material)),))
    return to_8_bits(render(scene, 64).picture)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(device="cpu")


def test_the_picture_that_the_prompt_names_scores_higher(models):
    red, blue = ball("red"), ball("blue")
    edits = [make_true_edit(edited=picture, truth=red, prompt="a red ball") for picture in (red, blue)]
    right, wrong = (value(edit, "world_clip_text", models) for edit in edits)
    assert right > wrong + 5
    assert value(edits[1], "world_clip_text_truth", models) == pytest.approx(right)


def test_an_edit_that_equals_its_truth_scores_100(models):
    red, blue = ball("red"), ball("blue")
    assert value(make_true_edit(edited=red, truth=red), "world_clip_image", models) == pytest.approx(100)
    assert value(make_true_edit(edited=blue, truth=red), "world_clip_image", models) < 95


def test_frames_are_consistent_where_they_are_alike(models):
    red, blue = ball("red"), ball("blue")
    following = FollowingFrame(red, np.zeros((2, 64, 64), np.float32), np.ones((64, 64), bool))
    still, changed = (make_true_edit(edited=picture, truth=red, following=following) for picture in (red, blue))
    assert value(still, "world_clip_frames", models) == pytest.approx(100)
    assert value(changed, "world_clip_frames", models) < 95
    assert score(make_true_edit(edited=red, truth=red), "world_clip_frames", models).reason == "there is no next frame"


def test_a_sample_without_a_prompt_has_no_text_score(models):
    edit = make_true_edit(prompt=None)
    assert score(edit, "world_clip_text", models).reason == "the sample has no prompt"


def test_it_is_named_as_the_small_worlds_in_reports(models):
    assert models.variant("world_clip").startswith("CLIP ViT of width 96/8 (asset:clip, ")
