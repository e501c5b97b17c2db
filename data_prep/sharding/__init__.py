"""Inputs to shards in many processes, and the merging of what they wrote."""
