"""From one clip to its pairs: moments, borders, shots, transitions, the choice of pairs."""
