"""Builds benchmark sets in the released layout from photographs or held-out pairs, and checks sets."""
