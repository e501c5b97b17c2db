"""Text2LIVE: draw a layer over a picture from text prompts, by a network optimised for it (arXiv 2204.02491)."""

__all__ = ["Text2LiveEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "Text2LiveEditor":
        from mimicbrush.editors.text2live.editor import Text2LiveEditor

        return Text2LiveEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
