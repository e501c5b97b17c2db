"""The parts of the tab *Move*: handles over the canvas, previews, and the motion of two frames."""
