"""Speed and memory of the editors for layers and motions."""
