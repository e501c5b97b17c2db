"""Train a small RAFT on moving objects of the small world and on warped photographs."""
