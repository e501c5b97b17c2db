"""Metrics of edited pictures: METRICS, the networks that they use, and `measure`."""
