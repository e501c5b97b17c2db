"""Clips on the page that are edited through their layered atlases."""
