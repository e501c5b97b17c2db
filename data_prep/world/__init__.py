"""The small world as files: stills, clips and evaluation sets."""
