"""Imitative editing in the manner of MimicBrush (arXiv 2406.07547): data, training, evaluation, editing."""

__version__ = "0.1.0"
