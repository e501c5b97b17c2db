"""Renders objects of named shapes and materials, in memory, with their masks, layers and exact motion."""
