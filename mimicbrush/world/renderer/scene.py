"""A scene: a background, objects, light and a camera. Lengths are fractions of the picture's side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.materials import Material, check_name
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS

MAX_TILT = 0.8
"""Largest perspective, summed over both directions; at 1 a corner of the object would lie at infinity."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Position of an object, whose own coordinates reach from -1 to 1, in the scene."""

    x: float = 0.5
    """Centre, from the left."""
    y: float = 0.5
    """Centre, from the top."""
    scale: float = 0.3
    """Half of the object's side."""
    angle: float = 0.0
    """Rotation in degrees, clockwise."""
    tilt_x: float = 0.0
    """Perspective: how much farther away the right edge is than the centre, as a fraction."""
    tilt_y: float = 0.0
    """Perspective: how much farther away the lower edge is than the centre, as a fraction."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UserError(f"pose.scale is {self.scale}; it must be positive")
        if not abs(self.tilt_x) + abs(self.tilt_y) <= MAX_TILT:
            raise UserError(
                f"pose.tilt_x and tilt_y are {self.tilt_x} and {self.tilt_y}; their sizes may sum to {MAX_TILT}"
            )


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """An object: a silhouette in a material at a pose."""

    silhouette: str
    """A name in `SILHOUETTES`."""
    material: Material
    """Material of all parts that `part_materials` does not name."""
    pose: Pose = field(default_factory=Pose)
    part_materials: Mapping[str, Material] = field(default_factory=dict)
    """Materials of single parts, by the silhouette's names of parts."""

    def __post_init__(self) -> None:
        check_name("silhouette", self.silhouette, tuple(SILHOUETTES))
        for part in self.part_materials:
            check_name(f"part of a {self.silhouette}", part, tuple(SILHOUETTES[self.silhouette].parts))
        for material in (self.material, *self.part_materials.values()):
            if material.pattern in BACKGROUND_PHOTOGRAPHS:
                raise UserError(f"{material.pattern}: a photograph for backgrounds; objects cannot be made of it")


@dataclass(frozen=True, kw_only=True)
class Background:
    """The plane behind all objects: a material or photograph, at a pose like an object's."""

    material: Material
    pose: Pose = field(default_factory=lambda: Pose(scale=0.5))
    """The default shows the square from -1 to 1 of the material, which is the middle of a photograph."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Light on the scene."""

    gain: float = 1.0
    """Brightness of everything; 1 leaves colours unchanged."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gains of red, green and blue."""
    shading: float = 1.0
    """Strength of the shading of objects; 0: flat colours."""
    shadow: float = 0.45
    """Darkness of an object's shadow; 0: none."""
    angle: float = 232.0
    """Direction from which the light comes, in degrees clockwise from the right; the default is from the upper left."""


EVEN_LIGHT = Light(shading=0.0, shadow=0.0)
"""Every point of the scene keeps its colour wherever it moves."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Part of the scene that the picture shows; objects and background move together under it."""

    x: float = 0.5
    """Point of the scene in the middle of the picture, from the left."""
    y: float = 0.5
    """Point of the scene in the middle of the picture, from the top."""
    zoom: float = 1.0
    """Magnification."""
    angle: float = 0.0
    """Rotation of the camera in degrees, clockwise."""

    def __post_init__(self) -> None:
        if not self.zoom > 0:
            raise UserError(f"camera.zoom is {self.zoom}; it must be positive")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that determines a picture, to the last bit."""

    background: Background
    objects: tuple[SceneObject, ...]
    """Objects from back to front; the last one is the subject, to which masks and layers refer."""
    light: Light = field(default_factory=Light)
    camera: Camera = field(default_factory=Camera)

    def __post_init__(self) -> None:
        if not self.objects:
            raise UserError("a scene has no objects; give at least one, the subject")

    @property
    def subject(self) -> SceneObject:
        """The object in front."""
        return self.objects[-1]
