"""Text2LIVE: draw a layer over a picture or clip from text prompts, by a network made for it (arXiv 2204.02491)."""

__all__ = ["Text2LiveClipEditor", "Text2LiveEditor"]


def __getattr__(name: str) -> object:
    """Import an editor when it is asked for: the settings next to it are read without torch."""
    if name == "Text2LiveEditor":
        from mimicbrush.editors.text2live.editor import Text2LiveEditor

        return Text2LiveEditor
    if name == "Text2LiveClipEditor":
        from mimicbrush.editors.text2live.clip_editor import Text2LiveClipEditor

        return Text2LiveClipEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
