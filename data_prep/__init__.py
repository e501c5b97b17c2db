"""From raw videos and annotated stills to shards of frame pairs."""
