"""The backgrounds of the small world, by the words that follow `on` in a caption."""

from __future__ import annotations

from mimicbrush.world.renderer.materials import Material

BACKGROUNDS = {
    "a cream wall": Material("plain", ("cream",)),
    "a blue wall": Material("plain", ("sky-blue",)),
    "a green wall": Material("plain", ("sage",)),
    "a rose wall": Material("plain", ("rose",)),
    "a dark wall": Material("plain", ("slate",)),
    "a green screen": Material("plain", ("screen-green",)),
    "a checkered floor": Material("checkered", ("cream", "slate")),
    "a striped cloth": Material("striped", ("rose", "cream")),
    "a dotted cloth": Material("dotted", ("sky-blue", "cream")),
    "a marble table": Material("marbled", ("cream", "sage")),
    "a brick wall": Material("brick"),
    "grass": Material("grass"),
    "gravel": Material("gravel"),
    "a starry sky": Material("galaxy"),
    "a wooden table": Material("wooden"),
    "a photograph of an astronaut": Material("astronaut"),
    "a photograph of a cameraman": Material("camera"),
    "a photograph of a cat": Material("chelsea"),
    "a photograph of a cup of coffee": Material("coffee"),
    "a photograph of coins": Material("coins"),
    "a photograph of the moon": Material("moon"),
    "a photograph of a motorcycle": Material("motorcycle_left"),
    "a photograph of a page": Material("page"),
    "a photograph of an eye": Material("retina"),
    "a photograph of a rocket": Material("rocket"),
}
"""Materials of the plane behind all objects."""
