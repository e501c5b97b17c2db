"""MimicBrush: repaint the masked part of a picture after the matching part of a reference (arXiv 2406.07547)."""

__all__ = ["MimicBrushEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "MimicBrushEditor":
        from mimicbrush.editors.mimicbrush.editor import MimicBrushEditor

        return MimicBrushEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
