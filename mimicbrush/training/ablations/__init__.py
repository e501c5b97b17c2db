"""Train the variants of one run, to measure the effect of each part of the method."""
