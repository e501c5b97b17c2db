"""Reports: report.html of an evaluation, comparison.html of two, and the tables printed on the console."""
