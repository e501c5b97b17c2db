"""Benchmarks of speed and memory. Compare numbers only within one run on one machine."""
