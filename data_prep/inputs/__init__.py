"""Files that a command works on: found, named, checked, recognised again."""
