"""Render a scene: the picture, the subject's mask, and the layers of which the picture is composed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer.bilinear_sampling import Coordinates
from mimicbrush.world.renderer.projection import Homography, object_to_picture, pixel_centres, project
from mimicbrush.world.renderer.relief import sample_distance, sample_silhouette
from mimicbrush.world.renderer.scene import Light, Scene, SceneObject
from mimicbrush.world.renderer.shading import shade, shadow_factor, shadow_offset
from mimicbrush.world.renderer.silhouettes import SILHOUETTES

NUM_SAMPLES = 3
"""Samples per pixel in each direction, which are averaged."""
Array = NDArray[np.float32]


class Rendered(NamedTuple):
    """A rendered scene; all arrays are float32 in [0, 1].

    picture = background * shadow * (1 - alpha) + foreground's colours * alpha, within rounding.
    """

    picture: Array
    """(H, W, 3)."""
    mask: Array
    """Share of each pixel that the subject covers (H, W)."""
    foreground: Array
    """The subject alone: red, green, blue and alpha (H, W, 4), not premultiplied; colours are 0 where alpha is."""
    background: Array
    """Everything behind the subject, without its shadow (H, W, 3)."""
    shadow: Array
    """Factor by which the subject's shadow darkens the background (H, W)."""
    part_masks: dict[str, Array]
    """Share of each pixel that a part of the subject covers, by the silhouette's names (H, W)."""


@dataclass(frozen=True)
class _DrawnObject:
    """An object within a box of the picture, in pixels."""

    rows: slice
    columns: slice
    alpha: Array
    """Share of each pixel that the object covers (h, w)."""
    colours: Array
    """Colours times alpha (h, w, 3)."""
    parts: Array
    """Share of each pixel that each part covers (h, w, P)."""


def render(scene: Scene, size: int) -> Rendered:
    """Render a square picture; equal scenes give equal bytes. Raises UserError below 16 pixels."""
    canvas = _draw_background(scene, size)
    for scene_object in scene.objects[:-1]:
        shadow, drawn = _draw_shadow(scene, scene_object, size), _draw_object(scene, scene_object, size)
        canvas *= shadow[..., None]
        _composite(canvas, drawn)
    shadow, drawn = _draw_shadow(scene, scene.subject, size), _draw_object(scene, scene.subject, size)
    picture = canvas * shadow[..., None]
    _composite(picture, drawn)
    alpha, colours, part_masks = (_in_picture(each, drawn, size) for each in (drawn.alpha, drawn.colours, drawn.parts))
    colours = colours / np.maximum(alpha, np.finfo(np.float32).tiny)[..., None]
    names = SILHOUETTES[scene.subject.silhouette].parts
    return Rendered(
        picture=picture,
        mask=alpha,
        foreground=np.concatenate([np.minimum(colours, 1), alpha[..., None]], axis=-1),
        background=canvas,
        shadow=shadow,
        part_masks={name: part_masks[..., number] for number, name in enumerate(names)},
    )


def _draw_background(scene: Scene, size: int) -> Array:
    """Draw the lit background (size, size, 3)."""
    pose, step = scene.background.pose, 1 / (size * NUM_SAMPLES)
    homography = object_to_picture(scene, pose)
    x, y = project(np.linalg.inv(homography), *pixel_centres(size, num_samples=NUM_SAMPLES))
    colours = scene.background.material.colours_at(x, y, step=step / (pose.scale * scene.camera.zoom))
    return np.clip(_averaged(colours) * _gains(scene.light), 0, 1)


def _draw_shadow(scene: Scene, scene_object: SceneObject, size: int) -> Array:
    """Draw the factor by which an object's shadow darkens what lies behind it (size, size)."""
    if scene.light.shadow == 0:
        return np.ones((size, size), np.float32)
    x, y = pixel_centres(size)
    offset_x, offset_y = shadow_offset(scene.light, scene_object.pose.scale * scene.camera.zoom)
    homography = object_to_picture(scene, scene_object.pose)
    own = project(np.linalg.inv(homography), x - offset_x, y - offset_y)
    return shadow_factor(sample_distance(scene_object.silhouette, *own), scene.light)


def _draw_object(scene: Scene, scene_object: SceneObject, size: int) -> _DrawnObject:
    """Draw an object within the smallest box of pixels that holds it."""
    homography = object_to_picture(scene, scene_object.pose)
    rows, columns = _box_of(homography, size)
    samples = pixel_centres(size, num_samples=NUM_SAMPLES, box=(rows, columns))
    x, y = project(np.linalg.inv(homography), *samples)
    step = 1 / (size * NUM_SAMPLES * scene_object.pose.scale * scene.camera.zoom)
    sampled = sample_silhouette(scene_object.silhouette, x, y)
    colours = _colours_of(scene_object, x, y, sampled.parts, step=step)
    turn = scene_object.pose.angle - scene.camera.angle
    colours = shade(colours, sampled.slope, scene.light, turn=turn)
    # The border is as soft as a sample is wide, so that coverage is continuous.
    alpha = np.clip(0.5 - sampled.distance / np.float32(step), 0, 1)
    colours = np.clip(colours * _gains(scene.light), 0, 1)
    return _DrawnObject(
        rows,
        columns,
        alpha=_averaged(alpha),
        colours=_averaged(colours * alpha[..., None]),
        parts=_averaged(sampled.parts * alpha[..., None]),
    )


def _colours_of(scene_object: SceneObject, x: Coordinates, y: Coordinates, parts: Array, *, step: float) -> Array:
    """Colours of an object's materials, each in its parts."""
    colours = scene_object.material.colours_at(x, y, step=step)
    for number, name in enumerate(SILHOUETTES[scene_object.silhouette].parts):
        if name in scene_object.part_materials:
            own = scene_object.part_materials[name].colours_at(x, y, step=step)
            colours = colours + parts[..., number, None] * (own - colours)
    return colours


def _box_of(homography: Homography, size: int) -> tuple[slice, slice]:
    """Rows and columns of the pixels that an object may cover; at least one of each."""
    x, y = project(homography, *np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * 1.02)
    sides = []
    for at in (y, x):
        first, last = np.floor(at.min() * size) - 1, np.ceil(at.max() * size) + 1
        first = int(np.clip(first, 0, size - 1))
        sides.append(slice(first, int(np.clip(last, first + 1, size))))
    return sides[0], sides[1]


def _composite(canvas: Array, drawn: _DrawnObject) -> None:
    """Draw an object over the canvas (H, W, 3)."""
    box = canvas[drawn.rows, drawn.columns]
    box += drawn.colours - box * drawn.alpha[..., None]


def _in_picture(values: Array, drawn: _DrawnObject, size: int) -> Array:
    """Place values of a box in an empty picture."""
    picture = np.zeros((size, size, *values.shape[2:]), np.float32)
    picture[drawn.rows, drawn.columns] = values
    return picture


def _averaged(samples: Array) -> Array:
    """Average the samples of each pixel."""
    places = itertools.product(range(NUM_SAMPLES), repeat=2)
    total = sum(samples[row::NUM_SAMPLES, column::NUM_SAMPLES] for row, column in places)
    return total / np.float32(NUM_SAMPLES**2)


def _gains(light: Light) -> Array:
    return np.float32(light.gain) * np.array(light.tint, np.float32)
