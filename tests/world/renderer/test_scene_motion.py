"""Motion and exact flow: warping by the flow gives the next frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.exact_flow import BACKGROUND, exact_flow
from mimicbrush.world.renderer.flow_check import warp_residual
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.projection import object_to_picture, own_coordinates, project
from mimicbrush.world.renderer.random_scenes import fitted, random_motion, random_scene
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import EVEN_LIGHT, Background, Camera, Light, Pose, Scene, SceneObject
from mimicbrush.world.renderer.scene_motion import SceneMotion

SIZE = 64
SUBJECT = SceneObject(silhouette="fish", material=Material("checkered", ("red", "white")), pose=Pose(scale=0.3))
SCENE = Scene(background=Background(material=Material("astronaut")), objects=(SUBJECT,), light=EVEN_LIGHT)


def moved(**pose) -> Scene:
    return replace(SCENE, objects=(replace(SUBJECT, pose=replace(SUBJECT.pose, **pose)),))


def warp_error(first: Scene, second: Scene) -> np.ndarray:
    """Differences (N,) in levels of 255 of one frame and the next, fetched along the flow, where they are compared."""
    difference, is_compared = warp_residual((first, second), (render(first, SIZE), render(second, SIZE)))
    assert is_compared.mean() > 0.4
    return np.abs(difference[is_compared])


@pytest.mark.parametrize(
    "second",
    [
        moved(x=0.5 + 5 / SIZE, y=0.5 - 3 / SIZE),
        replace(SCENE, camera=Camera(x=0.5 - 4 / SIZE, y=0.5 + 2 / SIZE)),
        replace(moved(x=0.5 + 7 / SIZE), camera=Camera(x=0.5 + 2 / SIZE)),
    ],
    ids=["object", "camera", "both"],
)
def test_whole_pixel_motion_is_warped_to_one_grey_level(second):
    assert warp_error(SCENE, second).max() < 1


def test_flow_of_simple_motions_is_known():
    flow, visible, front = exact_flow(SCENE, moved(x=0.5 + 5 / SIZE, y=0.5 - 3 / SIZE), SIZE)
    np.testing.assert_allclose(flow[:, front == 0].T, np.tile((5, -3), ((front == 0).sum(), 1)), atol=1e-4)
    np.testing.assert_allclose(flow[:, front == BACKGROUND], 0, atol=1e-5)
    assert visible[front == 0].all()
    assert not visible[front == BACKGROUND].all()
    # A quarter turn clockwise takes the point at (9.5, -0.5) from the centre to (0.5, 9.5).
    turned = exact_flow(SCENE, moved(angle=90), SIZE)
    np.testing.assert_allclose(turned.flow[:, 31, 41], (-9, 10), atol=1e-4)
    zoomed = exact_flow(SCENE, replace(SCENE, camera=Camera(zoom=2)), SIZE)
    np.testing.assert_allclose(zoomed.flow[:, 10, 20], (20.5 - 32, 10.5 - 32), atol=1e-4)
    assert not zoomed.visible[2, 2]


def test_a_point_that_another_object_hides_is_not_visible():
    front = SceneObject(silhouette="ball", material=SUBJECT.material, pose=Pose(x=0.1, scale=0.1))
    first = replace(SCENE, objects=(SUBJECT, front))
    second = replace(SCENE, objects=(SUBJECT, replace(front, pose=Pose(x=0.5, scale=0.1))))
    flow = exact_flow(first, second, SIZE)
    assert flow.front_object[32, 32] == 0
    assert not flow.visible[32, 32]
    assert flow.visible[32, 6]
    np.testing.assert_allclose(flow.flow[:, 32, 6], (0.4 * SIZE, 0), atol=1e-4)


def test_random_motion_is_warped_to_a_small_mean_error():
    errors = []
    for seed, background in enumerate(("a brick wall", "a photograph of a cat", "a checkered floor", "a cream wall")):
        generator = np.random.default_rng(seed)
        scene = random_scene(generator, SUBJECT, background=BACKGROUNDS[background])
        scenes = random_motion(generator, scene).scenes(24)
        first, second = (replace(scenes[number], light=EVEN_LIGHT) for number in (8, 9))
        errors.append(warp_error(first, second).mean())
    assert max(errors) < 6
    assert np.mean(errors) < 3


def test_flow_leads_to_the_same_point_of_the_object():
    second = replace(moved(x=0.6, angle=35, scale=0.35, tilt_x=0.2), camera=Camera(x=0.47, zoom=1.1, angle=4))
    flow, _, front = exact_flow(SCENE, second, SIZE)
    row, column = np.nonzero(front == 0)
    before = own_coordinates(SCENE, SCENE.subject.pose, SIZE)[row, column]
    x, y = ((at + 0.5 + flow[axis, row, column]) / SIZE for axis, at in enumerate((column, row)))
    after = project(np.linalg.inv(object_to_picture(second, second.subject.pose)), x, y)
    np.testing.assert_allclose(np.stack(after, axis=-1), before, atol=1e-5)


def test_motion_interpolates_poses_light_and_camera():
    last = replace(moved(x=0.7, angle=40), light=Light(gain=0.5), camera=Camera(x=0.6))
    motion = SceneMotion((replace(SCENE, light=Light()), last))
    middle = motion.at(0.5)
    assert (middle.subject.pose.x, middle.subject.pose.angle) == pytest.approx((0.6, 20))
    assert (middle.light.gain, middle.camera.x) == pytest.approx((0.75, 0.55))
    assert motion.scenes(3)[1] == middle
    assert motion.at(1.0) == last
    curved = SceneMotion((SCENE, moved(x=0.7), SCENE))
    assert curved.at(0.5).subject.pose.x == pytest.approx(0.7)
    assert curved.at(0.25).subject.pose.x == pytest.approx(0.65)


def test_random_subjects_stay_in_the_picture_and_seeds_repeat():
    for seed in range(20):
        scene, again = (
            random_scene(np.random.default_rng(seed), SUBJECT, background=BACKGROUNDS["grass"]) for _ in range(2)
        )
        assert scene == again
        motion, again = (random_motion(np.random.default_rng(seed), scene) for _ in range(2))
        assert motion == again
        for frame in motion.keyframes:
            mask = render(frame, 32).mask
            assert max(mask[[0, -1]].max(), mask[:, [0, -1]].max()) == 0
            assert mask.mean() > 0.03


def test_a_pose_is_moved_inside_by_as_little_as_needed():
    inside = Pose(x=0.4, y=0.6, scale=0.2)
    assert fitted(inside, "ball", margin=0) == inside
    cut_off = fitted(Pose(x=0.05, y=0.6, scale=0.2), "ball", margin=0.01)
    assert (cut_off.x, cut_off.y, cut_off.scale) == pytest.approx((0.01 + 0.94 * 0.2, 0.6, 0.2))
    too_large = fitted(Pose(scale=2), "ball", margin=0)
    assert (too_large.x, too_large.scale) == pytest.approx((0.5, 0.5 / 0.94))


def test_keyframes_of_other_objects_are_refused():
    other = replace(SCENE, objects=(replace(SUBJECT, silhouette="star"),))
    with pytest.raises(UserError, match="the keyframes of a motion differ in more than poses"):
        SceneMotion((SCENE, other))
    with pytest.raises(UserError, match="a motion has 1 keyframes"):
        SceneMotion((SCENE,))
    with pytest.raises(UserError, match="the two scenes of a flow have other objects"):
        exact_flow(SCENE, other, SIZE)
