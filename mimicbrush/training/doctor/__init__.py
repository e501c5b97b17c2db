"""The run doctor: what can be known to be wrong before the first step is said before it, all of it at once."""

from mimicbrush.training.doctor.all_checks import check, examine

__all__ = ["check", "examine"]
