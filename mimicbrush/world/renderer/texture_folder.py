"""Pictures of surfaces in a user's folder, as materials."""

from __future__ import annotations

import re
from pathlib import Path

from mimicbrush.errors import UnusableInput, UserError, some_of
from mimicbrush.files import list_pictures
from mimicbrush.pictures.headers import read_header
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.named_colours import COLOURS, WALL_COLOURS
from mimicbrush.world.renderer.patterns import PATTERNS
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS, TEXTURES

MIN_SIDE = 64
"""Smallest side of a picture in pixels; smaller ones are blurred on every object."""
TAKEN = frozenset((*COLOURS, *WALL_COLOURS, *PATTERNS, *TEXTURES, *BACKGROUND_PHOTOGRAPHS))


def materials_in(folder: Path) -> tuple[dict[str, Material], dict[str, UnusableInput]]:
    """List the pictures of a folder as stochastic materials, named by their file names; and unusable files by name.

    `Blue Denim.jpg` becomes the material `blue-denim`. Raises UserError if no picture can be used.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one with pictures of surfaces")
    materials: dict[str, Material] = {}
    unusable: dict[str, UnusableInput] = {}
    paths = list_pictures(folder)
    for path in paths:
        try:
            name = _name_of(path, taken=TAKEN | materials.keys())
            materials[name] = Material(name, file=path)
        except UnusableInput as error:
            unusable[path.name] = error
    if not materials:
        found = some_of([f"{name}: {error.detail}" for name, error in unusable.items()]) or "no picture file"
        raise UserError(f"{folder}: expected pictures of surfaces, found {found}")
    return materials, unusable


def _name_of(path: Path, *, taken: frozenset[str]) -> str:
    """Make one lower-case word of a file's name; raises UnusableInput for names that are taken and small pictures."""
    try:
        header = read_header(path)
    except UserError as error:
        raise UnusableInput("unreadable", str(error)) from error
    if min(header.width, header.height) < MIN_SIDE:
        size = f"{header.width} x {header.height}"
        raise UnusableInput("too_small", f"it is {size} pixels; at least {MIN_SIDE} a side are needed")
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    if not name or name in taken:
        raise UnusableInput("name_taken", f"the material would be called {name!r}, which is taken; rename the file")
    return name
