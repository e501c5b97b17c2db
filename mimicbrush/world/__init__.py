"""The small world: pictures, clips and edits whose true results are known."""
