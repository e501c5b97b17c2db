"""Random poses, backgrounds, lights and motions, in which the subject stays inside the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.projection import pose_homography, project
from mimicbrush.world.renderer.scene import Background, Camera, Light, Pose, Scene, SceneObject
from mimicbrush.world.renderer.scene_motion import SceneMotion
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS

SCALES = (0.21, 0.36)
"""Smallest and largest half side of a subject, as fractions of the picture's side."""
MARGIN = 0.04
"""Smallest distance of a subject from the picture's border at keyframes, as a fraction of the picture's side."""
NUM_SEEDS = 10_000
"""Number of different seeds of stochastic materials."""
MAX_ANGLE = 30.0
"""Largest rotation of a subject to either side, in degrees."""
MAX_TILT = 0.15
"""Largest perspective of a subject."""


def random_scene(generator: np.random.Generator, subject: SceneObject, *, background: Material) -> Scene:
    """Place a subject, whose own pose is replaced, before a background under a random light.

    Stochastic materials receive random seeds.
    """
    seeded = replace(
        subject,
        material=_seeded(subject.material, generator),
        part_materials={name: _seeded(material, generator) for name, material in subject.part_materials.items()},
        pose=random_pose(generator, subject.silhouette),
    )
    return Scene(
        background=random_background(generator, _seeded(background, generator)),
        objects=(seeded,),
        light=random_light(generator),
    )


def random_pose(generator: np.random.Generator, silhouette: str) -> Pose:
    """Draw a pose at which the silhouette lies wholly inside the picture."""
    x, y = generator.uniform(0.2, 0.8, 2)
    scale = generator.uniform(*SCALES)
    angle = generator.uniform(-MAX_ANGLE, MAX_ANGLE) * generator.random()
    tilt_x, tilt_y = generator.uniform(-MAX_TILT, MAX_TILT, 2)
    return fitted(Pose(x=x, y=y, scale=scale, angle=angle, tilt_x=tilt_x, tilt_y=tilt_y), silhouette)


def fitted(pose: Pose, silhouette: str, *, margin: float = MARGIN) -> Pose:
    """Move a pose by as little as needed, and shrink it if nothing else helps, so that the silhouette is inside.

    The pose is taken as one in the picture: the camera is the default one.
    """
    points = np.concatenate([loop for part in SILHOUETTES[silhouette].parts.values() for loop in part.loops])
    shape = project(pose_homography(replace(pose, x=0, y=0, scale=1)), *points.T)
    extents = [(float(at.min()), float(at.max())) for at in shape]
    scale = min(pose.scale, *((1 - 2 * margin) / (last - first) for first, last in extents))
    x, y = (
        float(np.clip(centre, margin - scale * first, 1 - margin - scale * last))
        for centre, (first, last) in zip((pose.x, pose.y), extents, strict=True)
    )
    return replace(pose, x=x, y=y, scale=scale)


def random_background(generator: np.random.Generator, material: Material) -> Background:
    """Draw a view of a material: a part of a photograph, or a texture at a random place and angle."""
    if material.pattern in BACKGROUND_PHOTOGRAPHS:
        # A scale above 0.5 leaves this much of the photograph to pan over.
        scale = generator.uniform(0.6, 0.9)
        reach = scale - 0.5
        x, y = generator.uniform(0.5 - reach, 0.5 + reach, 2)
        return Background(material=material, pose=Pose(x=x, y=y, scale=scale, angle=generator.uniform(-5, 5)))
    x, y = generator.random(2)
    scale, angle = generator.uniform(0.3, 0.5), generator.uniform(-20, 20)
    return Background(material=material, pose=Pose(x=x, y=y, scale=scale, angle=angle))


def random_light(generator: np.random.Generator) -> Light:
    """Draw a light from above, with a slight tint."""
    warmth = generator.uniform(-0.06, 0.06)
    return Light(
        gain=generator.uniform(0.88, 1.08),
        tint=(1 + warmth, 1.0, 1 - warmth),
        shadow=generator.uniform(0.3, 0.55),
        angle=generator.uniform(200, 340),
    )


def random_motion(generator: np.random.Generator, scene: Scene, *, num_keyframes: int = 3) -> SceneMotion:
    """Move a scene's subject, camera and light; the subject stays inside the picture at every keyframe.

    The scene, which is the first keyframe, has the default camera.
    """
    keyframes = [scene]
    seen = scene.subject.pose
    while len(keyframes) < num_keyframes:
        last = keyframes[-1]
        x, y = generator.uniform(0.45, 0.55, 2)
        camera = Camera(x=x, y=y, zoom=generator.uniform(0.95, 1.08))
        seen = fitted(_moved(seen, generator), scene.subject.silhouette)
        pose = replace(
            seen,
            x=camera.x + (seen.x - 0.5) / camera.zoom,
            y=camera.y + (seen.y - 0.5) / camera.zoom,
            scale=seen.scale / camera.zoom,
        )
        gain = float(np.clip(last.light.gain * generator.uniform(0.93, 1.07), 0.8, 1.12))
        objects = (*last.objects[:-1], replace(last.subject, pose=pose))
        keyframes.append(replace(last, objects=objects, camera=camera, light=replace(last.light, gain=gain)))
    return SceneMotion(tuple(keyframes))


def _moved(pose: Pose, generator: np.random.Generator) -> Pose:
    """Draw a pose near another one."""
    x, y = np.array([pose.x, pose.y]) + generator.uniform(-0.25, 0.25, 2)
    scale = np.clip(pose.scale * generator.uniform(0.8, 1.25), *SCALES)
    tilt_x, tilt_y = np.clip(
        np.array([pose.tilt_x, pose.tilt_y]) + generator.uniform(-0.12, 0.12, 2), -MAX_TILT, MAX_TILT
    )
    angle = pose.angle + generator.uniform(-25, 25)
    values = {"x": x, "y": y, "scale": scale, "angle": angle, "tilt_x": tilt_x, "tilt_y": tilt_y}
    return Pose(**{name: float(value) for name, value in values.items()})


def _seeded(material: Material, generator: np.random.Generator) -> Material:
    # The draw is made for every material, so that the same generator gives the same pose whatever the material.
    seed = int(generator.integers(NUM_SEEDS))
    return replace(material, seed=seed) if material.is_stochastic else material
