"""From shards on disk to masked training batches."""
