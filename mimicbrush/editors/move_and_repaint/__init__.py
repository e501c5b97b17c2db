"""Move and repaint: draw an object at its new place, and repaint what it uncovers with another editor."""

__all__ = ["MoveAndRepaintEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "MoveAndRepaintEditor":
        from mimicbrush.editors.move_and_repaint.editor import MoveAndRepaintEditor

        return MoveAndRepaintEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
