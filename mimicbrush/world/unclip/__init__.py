"""Train a small Stable unCLIP, which generates pictures of the small world from captions and pictures."""
