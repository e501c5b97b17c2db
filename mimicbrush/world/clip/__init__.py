"""Train a small CLIP on captioned renders of the small world."""
