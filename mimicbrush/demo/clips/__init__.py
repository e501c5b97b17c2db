"""Clips on the page: uploads, players, and masks over the frames."""
