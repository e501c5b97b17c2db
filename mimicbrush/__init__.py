"""Imitative editing in the manner of MimicBrush (arXiv 2406.07547): data, training, evaluation, editing."""

import os

# Set before torch loads OpenMP. Threads that spin for long while they wait occupy the cores of the loader's process
# and of other programs; threads that sleep at once wake up late. A training step of the tiny preset on two idle cores
# took 1.08 s by default, 1.02 s with immediate sleep, and 0.74 s with a short spin; on busy cores the default took 3 to
# 11 s.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.2.0"
__all__ = ["MimicBrushPipeline", "__version__"]


def __getattr__(name: str) -> object:
    """Import MimicBrushPipeline on first use, so that importing the package does not import its libraries."""
    if name == "MimicBrushPipeline":
        from mimicbrush.pipeline import MimicBrushPipeline

        return MimicBrushPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
