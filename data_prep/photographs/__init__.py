"""Your own photographs to pairs of a source and its references."""
