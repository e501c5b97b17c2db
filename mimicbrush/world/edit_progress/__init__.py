"""Measure the checkpoints of MimicBrush training runs by edits of the small world."""
