"""report.html: one file that tells a stranger what was asked, what came out, and how good it is."""
