"""Edits from the shell, one or many; their results can be made again."""
