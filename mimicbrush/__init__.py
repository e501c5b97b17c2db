"""Imitative editing in the manner of MimicBrush (arXiv 2406.07547): data, training, evaluation, editing."""

import os

# Before torch loads OpenMP: threads that spin long while they wait take the core from the loader's process, and from
# anything else that runs; threads that sleep at once wake late. A training step of the tiny preset on two idle cores
# took 1.08 s by default, 1.02 s sleeping at once, 0.74 s with a short spin; on busy cores the default took 3 to 11 s.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.2.0"
__all__ = ["MimicBrushPipeline", "__version__"]


def __getattr__(name: str) -> object:
    """`from mimicbrush import MimicBrushPipeline`, which loads its libraries then and not with the package."""
    if name == "MimicBrushPipeline":
        from mimicbrush.pipeline import MimicBrushPipeline

        return MimicBrushPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
