"""report.html: one file that tells a stranger what was asked, what came out, and how good it is."""

from mimicbrush.evaluation.report.report import write_report

__all__ = ["write_report"]
