"""Tables of measurements as CSV and as LaTeX: files beside a report, and buttons that copy or save them on its page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.files import write_text
from mimicbrush.reports.html_page import escape
from mimicbrush.reports.number_format import format_number

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "\N{NO-BREAK SPACE}": "~",
}
"""LaTeX for characters that have a meaning in it, and for symbols of our tables."""


Mark = Literal["", "best", "tied"]


@dataclass(frozen=True)
class Measured:
    """A measured number in a table, with its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None
    mark: Mark = ""
    """best: the best value of its column; tied: not shown to be worse than that."""
    sign: str = ""
    """Text before positive numbers."""

    @property
    def text(self) -> str:
        """The number as people read it, without its interval."""
        return format_number(self.value, sign=self.sign)

    @property
    def interval(self) -> str:
        """The interval in brackets; empty where there is none, or where it is the number itself."""
        if self.low is None or self.high is None or self.low == self.high:
            return ""
        return f"[{format_number(self.low, sign=self.sign)}, {format_number(self.high, sign=self.sign)}]"


Cell = str | int | Measured | None
"""Content of a cell; None is an empty one."""


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """A table of texts and measurements, to be exported."""

    name: str
    """Name of its files, without a suffix."""
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def to_csv(self) -> str:
        """Write numbers in full; a column of intervals is followed by columns of their lower and upper ends."""
        spans = [any(isinstance(cell, Measured) and cell.low is not None for cell in column) for column in self.columns]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        header: list[str] = []
        for title, has_ends in zip(self.header, spans, strict=True):
            name = re.sub(r"\s*[↑↓]$", "", title)
            header += [name, f"{name}, low", f"{name}, high"] if has_ends else [name]
        writer.writerow(header)
        for row in self.rows:
            cells: list[object] = []
            for cell, has_ends in zip(row, spans, strict=True):
                ends = [cell.low, cell.high] if isinstance(cell, Measured) else [None, None]
                cells += [cell.value if isinstance(cell, Measured) else cell, *(ends if has_ends else [])]
            writer.writerow(cells)
        return text.getvalue()

    def to_latex(self) -> str:
        """Write a tabular in the rules of booktabs; marks as on the page, intervals behind their number."""
        alignment = "".join("l" if all(_is_text(cell) for cell in column) else "r" for column in self.columns)
        rows = [[_latex_cell(cell) for cell in row] for row in self.rows]
        lines = [
            rf"% {' '.join(self.caption.split())} Needs \usepackage{{booktabs}}.",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            rf"{' & '.join(map(escape_latex, self.header))} \\",
            r"\midrule",
            *(rf"{' & '.join(row)} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
        return "\n".join(lines) + "\n"

    @property
    def columns(self) -> list[tuple[Cell, ...]]:
        """The cells of each column, without its title."""
        return list(zip(*self.rows, strict=True)) if self.rows else [() for _ in self.header]

    def write(self, folder: Path) -> list[Path]:
        """Write a CSV and a LaTeX file, and return their paths."""
        paths = [folder / f"{self.name}.csv", folder / f"{self.name}.tex"]
        for path, content in zip(paths, (self.to_csv(), self.to_latex()), strict=True):
            write_text(content, path)
        return paths

    def buttons(self) -> str:
        """Buttons that copy or save the table, as HTML; they appear where JavaScript runs, and need no server."""
        contents = (("csv", "CSV", self.to_csv()), ("tex", "LaTeX", self.to_latex()))
        parts = [
            f"<button type='button' data-{does}='{suffix}'>{does.capitalize()} {title}</button>"
            for suffix, title, _ in contents
            for does in ("copy", "save")
        ]
        texts = [
            f"<textarea class='{suffix}' readonly hidden aria-label='{title}'>{escape(content)}</textarea>"
            for suffix, title, content in contents
        ]
        label = f"Export: {self.caption}"
        return (
            f"<div class='export' role='group' aria-label='{escape(label)}' data-name='{escape(self.name)}' hidden>"
            f"{''.join(parts)}<output></output>{''.join(texts)}</div>"
        )


def escape_latex(text: object) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(character, character) for character in str(text))


def _latex_cell(cell: Cell) -> str:
    if cell is None:
        return "--"
    if not isinstance(cell, Measured):
        return escape_latex(cell)
    number, interval = (escape_latex(text).replace("-", "$-$") for text in (cell.text, cell.interval))
    number = {"best": rf"\textbf{{{number}}}", "tied": rf"{number}$^{{\approx}}$", "": number}[cell.mark]
    return rf"{number} {{\scriptsize {interval}}}" if interval else number


def _is_text(cell: Cell) -> bool:
    return isinstance(cell, str)
