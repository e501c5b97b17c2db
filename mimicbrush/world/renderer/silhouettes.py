"""The objects' shapes by name: each is made of named parts, which are drawn from back to front."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from mimicbrush.world.renderer.outlines import (
    Loop,
    circle,
    ellipse,
    flipped,
    heart,
    mirrored,
    polygon,
    right_half,
    rounded,
    smooth,
    star,
)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a silhouette that a person would name."""

    loops: tuple[Loop, ...]
    """Curves, from back to front; each is filled, and bulges on its own when it is shaded."""
    holes: tuple[Loop, ...] = ()
    """Curves cut out of all loops."""
    tilt: tuple[float, float] | None = None
    """Direction to which a flat face is turned, to the right and downwards; None: the part is rounded."""


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A shape in the square from -1 to 1, made of parts."""

    parts: dict[str, Part]
    """Parts by name, from back to front."""


def _one(*loops: Loop, holes: tuple[Loop, ...] = ()) -> dict[str, Part]:
    return {"body": Part(loops, holes)}


def _box() -> dict[str, Part]:
    """Box seen from above one of its edges: two sides and a lid."""
    top, centre, left, right = (0.0, -0.95), (0.0, -0.1), (-0.88, -0.53), (0.88, -0.53)
    low, low_left, low_right = (0.0, 0.97), (-0.88, 0.52), (0.88, 0.52)
    return {
        "left side": Part((polygon([left, centre, low, low_left]),), tilt=(-0.7, 0.35)),
        "right side": Part((polygon([right, centre, low, low_right]),), tilt=(0.9, 0.35)),
        "lid": Part((polygon([top, right, centre, left]),), tilt=(0.0, -0.7)),
    }


def _vase() -> dict[str, Part]:
    profile = [(0.3, -0.86), (0.25, -0.62), (0.36, -0.4), (0.68, -0.05), (0.7, 0.35), (0.42, 0.78), (0.4, 0.95)]
    return {
        "body": Part((smooth(mirrored([*profile, (0.0, 0.99)])),)),
        "rim": Part((ellipse(0, -0.84, 0.42, 0.14),), tilt=(0.0, 0.8)),
    }


def _fish() -> dict[str, Part]:
    tail = smooth([(0.35, 0.0), (0.62, -0.28), (0.98, -0.52), (0.84, 0.0), (0.98, 0.52), (0.62, 0.28)])
    fin = smooth([(-0.35, -0.35), (-0.1, -0.72), (0.35, -0.62), (0.3, -0.3)])
    lower_fin = smooth([(-0.15, 0.35), (0.1, 0.72), (0.32, 0.6), (0.2, 0.3)])
    body = smooth([(-0.98, 0.05), (-0.7, -0.32), (-0.2, -0.5), (0.3, -0.32), (0.62, -0.08), (0.62, 0.08), (0.3, 0.34),
                   (-0.2, 0.5), (-0.7, 0.36)])  # fmt: skip
    return {"tail": Part((tail, fin, lower_fin)), "body": Part((body, circle(-0.6, -0.08, 0.1)))}


def _leaf() -> dict[str, Part]:
    edge = [(0.0, -0.98), (0.34, -0.66), (0.62, -0.12), (0.52, 0.32), (0.24, 0.56), (0.0, 0.64)]
    half = right_half(smooth(mirrored(edge)))
    stalk = rounded([(-0.06, 0.45), (0.06, 0.45), (0.12, 0.98), (0.0, 0.99)], 0.05)
    return {"stalk": Part((stalk,)), "blade": Part((flipped(half), half))}


def _key() -> dict[str, Part]:
    shaft = rounded([(-0.14, -0.2), (0.14, -0.2), (0.14, 0.98), (-0.14, 0.98)], 0.08)
    teeth = [rounded([(0.0, y), (0.52, y), (0.52, y + 0.2), (0.0, y + 0.2)], 0.05) for y in (0.4, 0.74)]
    return {
        "shaft": Part((*teeth, shaft)),
        "bow": Part((circle(0, -0.48, 0.5),), holes=(circle(0, -0.48, 0.2),)),
    }


def _bottle() -> dict[str, Part]:
    profile = [(0.16, -0.8), (0.17, -0.45), (0.24, -0.26), (0.42, -0.05), (0.47, 0.2), (0.47, 0.8), (0.4, 0.97)]
    neck = smooth(mirrored([(0.15, -0.82), *profile[1:], (0.2, 0.99)]))
    return {
        "body": Part((neck,)),
        "cap": Part((rounded([(-0.23, -0.98), (0.23, -0.98), (0.23, -0.66), (-0.23, -0.66)], 0.06),)),
    }


def _mushroom() -> dict[str, Part]:
    stem = smooth(mirrored([(0.26, -0.1), (0.24, 0.4), (0.36, 0.8), (0.28, 0.96), (0.0, 0.99)]))
    cap = smooth(mirrored([(0.0, -0.95), (0.55, -0.78), (0.92, -0.25), (0.93, 0.1), (0.6, 0.16), (0.0, 0.1)]))
    return {"stem": Part((stem,)), "cap": Part((cap,))}


def _mug() -> dict[str, Part]:
    handle = Part((ellipse(0.5, 0.05, 0.47, 0.5),), holes=(ellipse(0.5, 0.05, 0.24, 0.27),))
    body = rounded([(-0.88, -0.72), (0.48, -0.72), (0.44, 0.88), (-0.84, 0.88)], 0.24)
    return {"handle": handle, "body": Part((body,)), "rim": Part((ellipse(-0.2, -0.7, 0.68, 0.18),), tilt=(0.0, 0.8))}


def _bell() -> dict[str, Part]:
    body = smooth(mirrored([(0.0, -0.78), (0.34, -0.66), (0.5, -0.2), (0.6, 0.28), (0.86, 0.56), (0.0, 0.62)]))
    lip = rounded([(-0.92, 0.48), (0.92, 0.48), (0.92, 0.7), (-0.92, 0.7)], 0.1)
    return {"clapper": Part((circle(0, 0.74, 0.22), circle(0, -0.82, 0.16))), "body": Part((body, lip))}


def _apple() -> dict[str, Part]:
    body = smooth(mirrored([(0.0, -0.36), (0.36, -0.56), (0.78, -0.38), (0.86, 0.1), (0.6, 0.75), (0.26, 0.95),
                            (0.0, 0.87)]))  # fmt: skip
    stalk = rounded([(-0.06, -0.3), (0.07, -0.3), (0.12, -0.82), (-0.02, -0.84)], 0.04)
    leaf = smooth([(0.08, -0.58), (0.22, -0.88), (0.62, -0.96), (0.5, -0.66)])
    return {"stalk": Part((stalk, leaf)), "body": Part((body,))}


def _house() -> dict[str, Part]:
    walls = rounded([(-0.68, -0.2), (0.68, -0.2), (0.68, 0.95), (-0.68, 0.95)], 0.04)
    door = rounded([(-0.2, 0.3), (0.2, 0.3), (0.2, 0.95), (-0.2, 0.95)], 0.1)
    chimney = rounded([(0.36, -0.9), (0.62, -0.9), (0.62, -0.2), (0.36, -0.2)], 0.04)
    roof = rounded([(0.0, -0.98), (0.97, -0.02), (-0.97, -0.02)], 0.08)
    return {
        "walls": Part((walls,), tilt=(0.2, 0.2), holes=(door,)),
        "chimney": Part((chimney,), tilt=(0.5, 0.3)),
        "roof": Part((roof,), tilt=(0.0, -0.5)),
    }


def _umbrella() -> dict[str, Part]:
    stick = rounded([(-0.07, -0.1), (0.07, -0.1), (0.07, 0.75), (-0.07, 0.75)], 0.02)
    hook = Part((circle(0.2, 0.68, 0.3), stick), holes=(circle(0.2, 0.68, 0.15),
                rounded([(0.08, 0.2), (0.6, 0.2), (0.6, 0.68), (0.08, 0.68)], 0.01)))  # fmt: skip
    edges = (-0.97, -0.33, 0.33, 0.97)
    panels = []
    for left, right in itertools.pairwise(edges):
        middle = (left + right) / 2
        side = [(0.0, -0.93), (0.62 * right + 0.02 * (right > 0), -0.62), (right, 0.08), (middle, -0.06), (left, 0.08)]
        panels.append(smooth([*side, (0.62 * left - 0.02 * (left < 0), -0.62)]))
    return {"handle": hook, "canopy": Part((panels[0], panels[2], panels[1]))}


def _butterfly() -> dict[str, Part]:
    upper = smooth([(0.02, -0.15), (0.3, -0.72), (0.8, -0.92), (0.98, -0.55), (0.75, -0.02), (0.3, 0.1)])
    lower = smooth([(0.02, 0.05), (0.45, 0.02), (0.8, 0.3), (0.72, 0.72), (0.42, 0.86), (0.16, 0.5)])
    body = smooth(mirrored([(0.0, -0.62), (0.11, -0.5), (0.1, 0.1), (0.08, 0.6), (0.0, 0.74)]))
    return {"wings": Part((lower, flipped(lower), upper, flipped(upper))), "body": Part((body,))}


def _boat() -> dict[str, Part]:
    hull = smooth([(-0.95, 0.36), (-0.5, 0.42), (0.5, 0.42), (0.97, 0.34), (0.7, 0.78), (0.4, 0.93), (-0.4, 0.93),
                   (-0.72, 0.76)])  # fmt: skip
    mast = rounded([(-0.05, -0.95), (0.06, -0.95), (0.06, 0.5), (-0.05, 0.5)], 0.02)
    sails = (
        rounded([(0.1, -0.9), (0.82, 0.26), (0.1, 0.26)], 0.08),
        rounded([(-0.1, -0.72), (-0.1, 0.26), (-0.72, 0.26)], 0.08),
    )
    return {"hull": Part((mast, hull)), "sails": Part(sails)}


def _crown() -> dict[str, Part]:
    spikes = rounded([(-0.8, 0.8), (-0.95, -0.42), (-0.45, 0.08), (0.0, -0.72), (0.45, 0.08), (0.95, -0.42),
                      (0.8, 0.8)], 0.06)  # fmt: skip
    balls = tuple(circle(x, y, 0.15) for x, y in ((-0.84, -0.52), (0.0, -0.8), (0.84, -0.52)))
    band = rounded([(-0.83, 0.48), (0.83, 0.48), (0.8, 0.88), (-0.8, 0.88)], 0.08)
    return {"spikes": Part((spikes, *balls)), "band": Part((band,))}


def _cloud() -> dict[str, Part]:
    base = rounded([(-0.92, 0.02), (0.92, 0.02), (0.92, 0.58), (-0.92, 0.58)], 0.28)
    bumps = ((-0.14, -0.16, 0.52), (0.36, -0.02, 0.4), (-0.56, 0.2, 0.37), (0.6, 0.22, 0.34), (0.06, 0.24, 0.35))
    return _one(base, *(circle(*bump) for bump in bumps))


def _moon() -> dict[str, Part]:
    return _one(circle(-0.05, 0, 0.94), holes=(circle(0.42, -0.12, 0.76),))


SILHOUETTES = {
    name: Silhouette(parts)
    for name, parts in {
        "apple": _apple(),
        "ball": _one(circle(0, 0, 0.94)),
        "bell": _bell(),
        "boat": _boat(),
        "bottle": _bottle(),
        "box": _box(),
        "butterfly": _butterfly(),
        "cloud": _cloud(),
        "crown": _crown(),
        "fish": _fish(),
        "heart": _one(heart(0.97, -0.85, 0.95)),
        "house": _house(),
        "key": _key(),
        "leaf": _leaf(),
        "moon": _moon(),
        "mug": _mug(),
        "mushroom": _mushroom(),
        "ring": _one(circle(0, 0, 0.94), holes=(circle(0, 0, 0.44),)),
        "star": _one(rounded(star(5, 1.0, 0.46), 0.08)),
        "umbrella": _umbrella(),
        "vase": _vase(),
    }.items()
}
"""All shapes by the noun that a caption uses."""
