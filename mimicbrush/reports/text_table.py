"""Tables as text, for terminals and Markdown files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat


def align_columns(rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Align the columns of a table. right: right-align all columns but the first, as for numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [
            cell.rjust(width) if right else cell.ljust(width) for cell, width in zip(others, widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Write a Markdown table whose first row is its header. right: right-align all columns but the first."""
    header, *others = rows
    rule = ["---", *repeat("---:" if right else "---", len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *others))
