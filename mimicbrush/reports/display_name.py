"""Write identifiers as names in a report."""

from __future__ import annotations

import re

IDENTIFIER = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
"""Names that were written for a file or a setting; any other name is kept as its author wrote it."""
SPELLINGS = {"inner_id": "inner-ID", "inter_id": "inter-ID"}
"""Identifiers whose spelling in the papers does not follow from their words."""


def display_name(name: str) -> str:
    """Write an identifier as in a paper: `mean_colour` as `Mean colour`; `MimicBrush` stays as it is."""
    if not IDENTIFIER.fullmatch(name):
        return name
    for identifier, spelling in SPELLINGS.items():
        name = re.sub(rf"(?<![a-z0-9]){identifier}(?![a-z0-9])", spelling, name)
    words = name.replace("_", " ")
    return words[0].upper() + words[1:]
