"""Benchmarks, metrics, statistics and the report."""
