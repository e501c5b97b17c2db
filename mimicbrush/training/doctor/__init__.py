"""The run doctor: find faults of a run before its first step, and report all of them at once."""

from mimicbrush.training.doctor.all_checks import check_before_run, check_in_full

__all__ = ["check_before_run", "check_in_full"]
