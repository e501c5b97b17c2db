"""Training pairs show one material twice, and their matched points lie at the same place of it."""

from dataclasses import replace

import numpy as np
import pytest

from mimicbrush.world.renderer.matched_points import matched_points
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import EVEN_LIGHT, Background, Pose, Scene, SceneObject
from mimicbrush.world.sets.draw_pairs import PAIR_KINDS, draw_pair
from mimicbrush.world.sets.splits import MATERIALS, Combination

SIZE = 64


def draw_points(source: Scene, reference: Scene, *, num: int = 96) -> np.ndarray:
    return matched_points(source, reference, SIZE, num=num, generator=np.random.default_rng(0))


def colours_at(scene: Scene, points: np.ndarray) -> np.ndarray:
    columns, rows = (points * SIZE).astype(int).T
    return render(scene, SIZE).picture[rows, columns]


@pytest.mark.parametrize("kind", PAIR_KINDS)
def test_matched_points_have_the_same_colour(kind):
    """Under an even light, and much more alike than points that do not match: between pixels, colours are mixed."""
    drawn_pairs = [draw_pair(kind, number, seed=0) for number in range(6)]
    patterned = [drawn for drawn in drawn_pairs if len(drawn.source.subject.material.colours) == 2]
    assert patterned
    for drawn in patterned[:3]:
        source, reference = (replace(scene, light=EVEN_LIGHT) for scene in (drawn.source, drawn.reference))
        points = draw_points(source, reference)
        assert len(points) >= 24
        before, after = colours_at(source, points[:, :2]), colours_at(reference, points[:, 2:])
        assert np.abs(before - after).mean() < 0.6 * np.abs(before - np.roll(after, 1, axis=0)).mean()
        assert source.subject.material == reference.subject.material


def test_a_moved_object_is_matched_by_its_shift():
    subject = SceneObject(silhouette="ball", material=MATERIALS["red striped"], pose=Pose(x=0.4, scale=0.25))
    moved = replace(subject, pose=Pose(x=0.525, scale=0.25))
    plain = Background(material=MATERIALS["blue"])
    points = draw_points(*(Scene(background=plain, objects=(each,)) for each in (subject, moved)))
    shift = points[:, 2:] - points[:, :2]
    on_ball = shift[:, 0] > 0.1
    assert on_ball.mean() == pytest.approx(0.75, abs=0.01)
    assert shift[on_ball] == pytest.approx(np.tile([0.125, 0], (on_ball.sum(), 1)), abs=1e-9)
    assert shift[~on_ball] == pytest.approx(0, abs=1e-9)


def test_kinds_go_from_easy_to_hard():
    for number in range(4):
        moved, small, large, other, held_out = (draw_pair(kind, number, seed=0) for kind in PAIR_KINDS)
        assert moved.reference.objects == moved.source.objects
        assert small.reference.background == small.source.background
        assert large.reference.subject.silhouette == large.source.subject.silhouette
        assert large.reference.light != large.source.light
        shown = Combination(other.reference.subject.silhouette, other.combination.material)
        assert shown.object != other.combination.object
        assert {each.combination.split for each in (moved, small, large, other)} == {shown.split} == {"training"}
        assert held_out.combination.split == "held_out"
        assert (held_out.reference.subject.silhouette == held_out.combination.object) == (number % 2 == 0)
        assert MATERIALS[moved.combination.material].is_pattern
        assert MATERIALS[small.combination.material].is_pattern
    assert draw_pair("moved", 1, seed=0) == draw_pair("moved", 1, seed=0) != draw_pair("moved", 1, seed=1)
