"""The only place that opens, converts and writes pictures: see README.md."""
