"""Pictures and clips of the examples: scenes of the small world, and photographs that come with scikit-image."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray

from mimicbrush.demo.examples.example import Drawn, ExampleFile, ExamplePicture
from mimicbrush.demo.strokes import Stroke
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.pictures.writing import write_frames
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.whole_clip import read_whole_clip
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.materials import material_named
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Background, Pose, Scene, SceneObject
from mimicbrush.world.renderer.scene_motion import SceneMotion
from mimicbrush.world.sets.edit_ingredients import with_subject
from mimicbrush.world.sets.edits import to_8_bits

SHIPPED = Path(str(resources.files("mimicbrush") / "assets" / "examples"))
"""Folder of what the gallery shows of each example, and of a clip with its atlas."""
ATLAS_CLIP = SHIPPED / "fish" / "fish.mp4"
"""A clip; its atlas lies beside it, made by python -m mimicbrush.atlas --num_steps 600 and halved in precision."""
PICTURE_SIDE, SMALL_SIDE = 192, 64
"""Side of pictures of the small world in pixels; that of clips, and of pictures for layers."""
MARGIN = 1 / 48
"""How far around an object it is painted, too, as a share of the picture's side."""
NUM_FRAMES, FPS = 8, 8


def photograph(name: str, *strokes: Stroke) -> ExamplePicture:
    """A photograph by its name in skimage.data."""

    def draw() -> Drawn:
        pixels = getattr(skimage.data, name)()
        return Drawn(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1))

    return ExamplePicture(name, draw, strokes)


def brush(size: float, *points: tuple[float, float]) -> Stroke:
    """A stroke of the brush."""
    return Stroke(tool="brush", size=size, points=list(points))


def scene(thing: str, material: str, background: str, **pose: float) -> Scene:
    """An object of the small world in a material, by their names."""
    subject = SceneObject(silhouette=thing, material=material_named(material), pose=Pose(**pose))
    return Scene(background=Background(material=BACKGROUNDS[background]), objects=(subject,))


def to_paint(shown: Scene, side: int = PICTURE_SIDE) -> ExamplePicture:
    """A picture of the small world whose object is painted over."""

    def draw() -> Drawn:
        rendered = render(shown, side)
        return Drawn(to_8_bits(rendered.picture), grow(rendered.mask > 0, round(MARGIN * side)))

    return ExamplePicture(shown.subject.silhouette, draw)


def to_show(shown: Scene) -> ExamplePicture:
    """A picture of the small world on which nothing is painted."""
    return ExamplePicture(shown.subject.silhouette, lambda: Drawn(to_8_bits(render(shown, PICTURE_SIDE).picture)))


def replaced_in_clip(motion: SceneMotion, thing: str, *, scale: float) -> tuple[ExampleFile, ExampleFile]:
    """A clip of the small world, and masks that cover its object and another one there, by this factor larger."""
    name = motion.keyframes[0].subject.silhouette

    def frames() -> list[NDArray[np.uint8]]:
        return [to_8_bits(render(each, SMALL_SIDE).picture) for each in motion.scenes(NUM_FRAMES)]

    def masks() -> list[NDArray[np.bool_]]:
        found = []
        for each in motion.scenes(NUM_FRAMES):
            other = with_subject(each, silhouette=thing, scale=scale)
            before, after = (render(shown, SMALL_SIDE) for shown in (each, other))
            changes = (to_8_bits(before.picture) != to_8_bits(after.picture)).any(axis=-1)
            found.append(grow(changes | (before.mask > 0) | (after.mask > 0), 1))
        return found

    clip = ExampleFile(f"{name}.mp4", lambda path: write_h264(path, frames(), fps=FPS), lambda: Drawn(frames()[0]))
    return clip, ExampleFile(f"{name}-mask.png", lambda path: write_frames(masks(), path))


def atlas_clip() -> ExampleFile:
    """The clip that comes with its atlas."""
    return ExampleFile(ATLAS_CLIP.name, lambda path: shutil.copyfile(ATLAS_CLIP, path))


def atlas_frame(number: int, *strokes: Stroke) -> ExamplePicture:
    """A painted frame of that clip, counted from 1."""
    return ExamplePicture(f"frame-{number}", _frame_of(ATLAS_CLIP, number - 1), strokes)


def _frame_of(clip: Path, index: int) -> Callable[[], Drawn]:
    return lambda: Drawn(read_whole_clip(clip, max_frames=NUM_FRAMES).frames[index])
