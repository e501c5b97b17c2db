"""The report of a folder of shards, one module for each section."""
