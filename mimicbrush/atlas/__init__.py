"""Layered neural atlases: a clip as two flat pictures, foreground and background, that every frame samples."""
