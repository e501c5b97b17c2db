"""Edits that outlive a reload, on the server; picture, mask, settings and results, in the browser."""
