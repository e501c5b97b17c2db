"""Speed and memory of the editors for layers, motions and clips."""
