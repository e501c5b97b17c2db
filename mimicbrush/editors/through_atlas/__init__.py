"""Editing a clip through its layered atlas: one frame, or the atlas, is edited once by an editor for pictures."""

__all__ = ["ThroughAtlasEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "ThroughAtlasEditor":
        from mimicbrush.editors.through_atlas.editor import ThroughAtlasEditor

        return ThroughAtlasEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
