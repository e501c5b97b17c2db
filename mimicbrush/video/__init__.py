"""Clips: frames read at given times, and frames written as H.264."""
