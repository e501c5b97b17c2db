"""Facts about your own sources: how many things they show, their masks and matches; and every fault by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from data_prep.records.reasons import explain
from mimicbrush.errors import spaced

MAX_LINES = 20
"""Largest number of faults that are named on the console; the report names all that the summary holds."""


def summarise_sources(used: Mapping[str, Mapping]) -> dict:
    """Summarise the records of sources that training uses, by name."""
    masks = Counter(record["mask"] for record in used.values())
    return {
        "groups": len({record["group"] for record in used.values()}),
        "pairs": sum(record["pairs"] for record in used.values()),
        "matched": sum(record["matched"] for record in used.values()),
        "masks": dict(masks.most_common()),
        "notes": {name: record["note"] for name, record in used.items() if "note" in record},
    }


def name_faults(summary: Mapping) -> list[str]:
    """Lines that name every source that was skipped or has no mask, for the console."""
    lines = list(_fault_lines(summary))
    more = [f"- and {spaced(len(lines) - MAX_LINES)} more, named in the report"] if len(lines) > MAX_LINES else []
    return [*lines[:MAX_LINES], *more]


def _fault_lines(summary: Mapping) -> Iterator[str]:
    for code, names in summary["skipped"].items():
        for name, detail in names.items():
            yield f"- skipped {name}: {explain(code).words}{f' ({detail})' if detail else ''}"
    for name, note in summary.get("sources", {}).get("notes", {}).items():
        yield f"- {name}: no object mask ({note}); random masks are drawn instead"
