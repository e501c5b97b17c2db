"""The run doctor: find faults of a run before its first step, and report all of them at once."""
