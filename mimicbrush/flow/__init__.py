"""Optical flow: files, warping, occlusion, fields that are asked for, and pictures of flow."""
