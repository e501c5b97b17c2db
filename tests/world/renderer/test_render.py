"""Rendering: masks, layers, light, and materials that are the same on every object."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import EVEN_LIGHT, Background, Light, Pose, Scene, SceneObject
from mimicbrush.world.renderer.silhouettes import SILHOUETTES

CHECKERED = Material("checkered", ("red", "white"))
PHOTOGRAPH = Background(material=Material("astronaut"))


def scene_of(silhouette: str = "ball", material: Material = CHECKERED, light: Light = EVEN_LIGHT, **pose) -> Scene:
    subject = SceneObject(silhouette=silhouette, material=material, pose=Pose(**pose))
    return Scene(background=PHOTOGRAPH, objects=(subject,), light=light)


def test_ball_covers_the_area_of_its_circle():
    mask = render(scene_of(scale=0.3), 64).mask
    assert mask.sum() == pytest.approx(np.pi * (0.94 * 0.3 * 64) ** 2, rel=0.003)
    assert mask[32, 32] == 1
    assert mask[0, 0] == 0


@pytest.mark.parametrize("silhouette", SILHOUETTES)
def test_every_silhouette_fills_its_square_without_leaving_it(silhouette):
    rendered = render(scene_of(silhouette, scale=0.4), 40)
    loops = [loop for part in SILHOUETTES[silhouette].parts.values() for loop in part.loops]
    assert np.abs(np.concatenate(loops)).max() <= 1.01
    rows, columns = np.nonzero(rendered.mask > 0.5)
    assert min(*rows, *columns) >= 4
    assert max(*rows, *columns) < 36
    assert max(np.ptp(rows), np.ptp(columns)) >= 28
    assert rendered.mask.mean() > 0.1
    # The parts share the object among them.
    np.testing.assert_allclose(sum(rendered.part_masks.values()), rendered.mask, atol=1e-5)
    assert list(rendered.part_masks) == list(SILHOUETTES[silhouette].parts)


def test_layers_compose_the_picture():
    rendered = render(scene_of("mug", light=Light(), angle=20, tilt_x=0.2), 48)
    alpha = rendered.foreground[..., 3:]
    composed = rendered.background * rendered.shadow[..., None] * (1 - alpha) + rendered.foreground[..., :3] * alpha
    np.testing.assert_allclose(composed, rendered.picture, atol=1e-6)
    np.testing.assert_array_equal(rendered.mask, alpha[..., 0])
    assert rendered.shadow.min() < 0.7


def test_the_same_material_on_another_object_is_the_same_picture():
    star, heart = (render(scene_of(name, scale=0.35, angle=30), 64) for name in ("star", "heart"))
    both = (star.mask == 1) & (heart.mask == 1)
    assert both.sum() > 300
    np.testing.assert_array_equal(star.picture[both], heart.picture[both])


def test_the_edit_description_gives_the_truth_again():
    source = scene_of("vase", light=Light(), scale=0.3, angle=10)
    edited = replace(source, objects=(replace(source.subject, material=Material("dotted", ("blue", "yellow"))),))
    truth, again = render(edited, 64), render(pickle.loads(pickle.dumps(edited)), 64)
    assert truth.picture.tobytes() == again.picture.tobytes()
    outside = truth.mask == 0
    np.testing.assert_array_equal(truth.picture[outside], render(source, 64).picture[outside])


def test_a_part_in_another_material_changes_that_part_alone():
    whole = scene_of("mushroom")
    subject = replace(whole.subject, part_materials={"cap": Material("plain", ("blue",))})
    parted = render(replace(whole, objects=(subject,)), 64)
    cap, stem = parted.part_masks["cap"], parted.part_masks["stem"]
    inside = cap > 0.999
    np.testing.assert_allclose(parted.picture[inside] - np.array((44, 98, 201)) / 255, 0, atol=2e-3)
    assert inside.sum() > 300
    same = render(whole, 64).picture
    np.testing.assert_array_equal(parted.picture[(cap == 0) & (stem > 0)], same[(cap == 0) & (stem > 0)])


def test_even_light_shows_plain_colours_unchanged():
    rendered = render(scene_of("box", Material("plain", ("teal",))), 32)
    np.testing.assert_allclose(rendered.picture[16, 16], np.array((38, 166, 160)) / 255, atol=1e-6)
    brighter = render(scene_of("box", Material("plain", ("teal",)), replace(EVEN_LIGHT, gain=1.2)), 32)
    np.testing.assert_allclose(brighter.picture[16, 16], 1.2 * np.array((38, 166, 160)) / 255, atol=1e-6)


def test_the_lit_side_is_brighter_wherever_the_object_is_turned():
    for angle in (0, 120):
        picture = render(scene_of("ball", Material("plain", ("red",)), Light(shadow=0), angle=angle), 64).picture
        assert picture[22, 24].mean() > picture[42, 40].mean() + 0.1


def test_objects_behind_the_subject_belong_to_the_background():
    behind = SceneObject(silhouette="ball", material=Material("plain", ("blue",)), pose=Pose(x=0.3, scale=0.2))
    subject = SceneObject(silhouette="ball", material=Material("plain", ("red",)), pose=Pose(x=0.5, scale=0.2))
    rendered = render(Scene(background=PHOTOGRAPH, objects=(behind, subject), light=EVEN_LIGHT), 64)
    np.testing.assert_allclose(rendered.background[32, 24], np.array((44, 98, 201)) / 255, atol=1e-6)
    np.testing.assert_allclose(rendered.picture[32, 32], np.array((214, 45, 48)) / 255, atol=1e-6)
    assert rendered.mask[32, 12] == 0


def test_an_object_beyond_the_border_is_cut_off():
    assert render(scene_of(x=0.0), 32).mask.sum() == pytest.approx(render(scene_of(), 32).mask.sum() / 2, rel=0.05)
    assert render(scene_of(x=2.0, y=-1.5), 32).mask.sum() == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: render(scene_of(), 12), "size is 12; pictures of the small world need at least 16 pixels"),
        (lambda: scene_of("teapot"), "teapot: no such silhouette; known are apple, ball"),
        (lambda: Material("tartan", ("red",)), "tartan: no such pattern; known are plain, striped"),
        (lambda: Material("striped", ("red", "golden")), "golden: no such colour; known are red, orange"),
        (lambda: Material("striped", ("red",)), r"material striped: it has 2 colours, not 1 \(red\)"),
        (lambda: scene_of(material=Material("astronaut")), "astronaut: a photograph for backgrounds"),
        (lambda: scene_of(scale=0), "pose.scale is 0; it must be positive"),
        (
            lambda: scene_of(tilt_x=-0.5, tilt_y=0.4),
            "pose.tilt_x and tilt_y are -0.5 and 0.4; their sizes may sum to 0.8",
        ),
        (lambda: Scene(background=PHOTOGRAPH, objects=()), "a scene has no objects"),
        (
            lambda: SceneObject(silhouette="key", material=CHECKERED, part_materials={"lid": CHECKERED}),
            "lid: no such part of a key; known are shaft, bow",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()
