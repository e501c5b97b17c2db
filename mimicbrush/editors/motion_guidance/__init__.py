"""Motion Guidance: move, turn, stretch and bend objects by an optical-flow field (arXiv 2401.18085)."""

__all__ = ["MotionGuidanceEditor"]


def __getattr__(name: str) -> object:
    """Import the editor when it is asked for: `settings` next to it is read without torch."""
    if name == "MotionGuidanceEditor":
        from mimicbrush.editors.motion_guidance.editor import MotionGuidanceEditor

        return MotionGuidanceEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
