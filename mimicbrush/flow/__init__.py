"""Optical flow: networks that estimate it, files, warping, occlusion, fields that are asked for, and pictures."""
