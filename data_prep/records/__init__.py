"""Written records of a folder of shards: units of work, exclusions, counts and reasons."""
