"""Findings of the doctor, and the table that they are printed as."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from mimicbrush.errors import UserError

FindingVerdict = Literal["ok", "warning", "fault"]

MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}
PLAIN_MARKS = {"ok": "+", "warning": "!", "fault": "x"}
"""Marks for a terminal whose encoding has no check marks."""
NAME_WIDTH = 16
MAX_WIDTH = 120


class Finding(NamedTuple):
    """One finding about a run before its start."""

    name: str
    verdict: FindingVerdict
    message: str
    """The fact; if it is not ok, also what was expected and what to do."""


def collect(name: str, check: Callable[..., Iterable[Finding]], *args, **kwargs) -> list[Finding]:
    """Collect the findings of one check; a UserError that it raises becomes a fault of this name."""
    found: list[Finding] = []
    try:
        for finding in check(*args, **kwargs):
            found.append(finding)
    except UserError as error:
        found += [Finding(name, "fault", fault) for fault in error.faults]
    return found


def faults_of(findings: Iterable[Finding]) -> list[Finding]:
    """Select the faults, which a run must not start with."""
    return [finding for finding in findings if finding.verdict == "fault"]


def describe(findings: Sequence[Finding], *, in_full: bool) -> str:
    """Format one line for each finding; if not `in_full`, one line names all that are ok."""
    marks = _marks()
    fine = [finding.name for finding in findings if finding.verdict == "ok"]
    listed = [finding for finding in findings if in_full or finding.verdict != "ok"]
    lines = [_wrap(f"{marks[finding.verdict]} {finding.name:{NAME_WIDTH}s} {finding.message}") for finding in listed]
    if not in_full and fine:
        lines.insert(0, _wrap(f"{marks['ok']} {'doctor':{NAME_WIDTH}s} {', '.join(dict.fromkeys(fine))}"))
    if in_full:
        counts = Counter(finding.verdict for finding in findings)
        lines.append(f"{counts['ok']} ok, {_many(counts['warning'], 'warning')}, {_many(counts['fault'], 'fault')}")
    return "\n".join(lines)


def _wrap(line: str) -> str:
    width = min(MAX_WIDTH, shutil.get_terminal_size((MAX_WIDTH, 24)).columns)
    indent = " " * (NAME_WIDTH + 3)
    return textwrap.fill(line, max(width, 60), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _marks() -> dict[str, str]:
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_MARKS
    return MARKS


def _many(num: int, what: str) -> str:
    return f"{num} {what}" if num == 1 else f"{num} {what}s"
