"""Quality of layered atlases against the time of their training."""
