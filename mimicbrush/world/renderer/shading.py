"""Shading of a curved surface, and soft shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mimicbrush.world.renderer.scene import Light

ELEVATION = 50.0
"""Height of the light above the picture's plane, in degrees."""
AMBIENT = 0.5
"""Brightness of surfaces that the light does not reach."""
DIFFUSE = 0.57
"""Additional brightness of surfaces that face the light."""
SPECULAR = 0.32
"""Strength of the highlight."""
SHININESS = 22
"""Exponent of the highlight."""
SHADOW_DISTANCE = 0.2
"""Shift of an object's shadow, in object coordinates."""
SHADOW_BLUR = 0.5
"""Width of a shadow's soft border, in object coordinates."""
Array = NDArray[np.float32]


def shade(colours: Array, slope: Array, light: Light, *, turn: float) -> Array:
    """Shade colours (*shape, 3) of a surface with the slope (*shape, 2); turn: rotation of the object in degrees."""
    if light.shading == 0:
        return colours
    # The light turns the other way in the object's own coordinates.
    angle, elevation = np.radians(light.angle - turn), np.radians(ELEVATION)
    to_light = np.array([np.cos(angle) * np.cos(elevation), np.sin(angle) * np.cos(elevation), np.sin(elevation)])
    to_light = to_light.astype(np.float32)
    length = np.sqrt(1 + slope[..., 0] ** 2 + slope[..., 1] ** 2)
    facing = (to_light[2] - slope[..., 0] * to_light[0] - slope[..., 1] * to_light[1]) / length
    diffuse = AMBIENT + DIFFUSE * np.maximum(facing, 0)
    # Blinn and Phong: the highlight is where the surface faces the middle between light and viewer.
    half = to_light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    aligned = (half[2] - slope[..., 0] * half[0] - slope[..., 1] * half[1]) / length
    highlight = SPECULAR * np.maximum(aligned, 0) ** SHININESS
    lit = colours * diffuse[..., None] + highlight[..., None] * (1 - colours * diffuse[..., None])
    return colours + np.float32(light.shading) * (np.minimum(lit, 1) - colours)


def shadow_factor(distance: Array, light: Light) -> Array:
    """Factor that darkens what lies behind an object, from the distance to the border of its shadow."""
    depth = np.clip(0.5 - distance / np.float32(SHADOW_BLUR), 0, 1)
    return 1 - np.float32(light.shadow) * depth * depth * (3 - 2 * depth)


def shadow_offset(light: Light, unit: float) -> tuple[float, float]:
    """Shift of a shadow in the picture, away from the light; unit: length of an object's unit in the picture."""
    angle = np.radians(light.angle)
    return -SHADOW_DISTANCE * unit * np.cos(angle), -SHADOW_DISTANCE * unit * np.sin(angle)
