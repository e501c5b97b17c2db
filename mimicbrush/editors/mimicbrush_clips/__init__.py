"""MimicBrush for clips: repaint an object in all frames after a target picture, without tuning."""

__all__ = ["MimicBrushClipsEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "MimicBrushClipsEditor":
        from mimicbrush.editors.mimicbrush_clips.editor import MimicBrushClipsEditor

        return MimicBrushClipsEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
