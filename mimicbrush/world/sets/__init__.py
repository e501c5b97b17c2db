"""Captioned stills and clips of the small world, their splits, and edits whose true result is known."""
