"""Frames and pictures: stored, made grey, compared by SSIM, matched by keypoints."""
