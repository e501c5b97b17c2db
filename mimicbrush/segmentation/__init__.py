"""Masks of things in a picture: from a box, by GrabCut, or by Segment Anything."""
