"""GenVideo: replace the object in a clip by the object of a target picture (arXiv 2404.12541)."""

__all__ = ["GenVideoEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "GenVideoEditor":
        from mimicbrush.editors.genvideo.editor import GenVideoEditor

        return GenVideoEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
