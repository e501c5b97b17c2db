"""Noise schedules, schedulers, seeded noise, and DDIM inversion, for every diffusion model of the project."""
