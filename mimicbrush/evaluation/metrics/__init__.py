"""What an edit is judged by: METRICS, the networks that they use, and `measure`."""
