"""Masks of objects in a picture: from a box, with GrabCut, or with Segment Anything."""
