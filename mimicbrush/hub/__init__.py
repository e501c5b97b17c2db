"""Pretrained parts on this machine and on the hub: where they are, which files they have, and how to load them."""
