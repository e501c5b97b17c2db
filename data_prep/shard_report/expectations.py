"""The part of a report that says what pairs of your own photographs can teach, given their number and kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mimicbrush.errors import spaced
from mimicbrush.reports.html_page import folded, paragraph
from mimicbrush.statistics import MIN_GROUPS

FEW_PAIRS = 100
"""Number of pairs below which a run of a thousand samples shows each of them more than ten times."""


def expectations(facts: Mapping) -> list[str]:
    """Say what pairs of this number and kind can teach; facts: `sources` of a summary."""
    sections = [paragraph(sentence) for sentence in _sentences(facts)]
    if notes := facts["notes"]:
        lines = [f"{name}: {note}" for name, note in notes.items()]
        sections.append(folded(f"Sources without an object mask, and why: {spaced(len(notes))}", lines))
    return sections


def _sentences(facts: Mapping) -> Iterator[str]:
    pairs, groups, matched = facts["pairs"], facts["groups"], facts["matched"]
    if not pairs:
        yield "There is no pair to train on; the next section says why each source was left out."
        return
    if pairs == 1:
        yield (
            "There is one pair. Every step of training shows it, under new masks and other augmentation, until it is "
            "learned by heart: expect better edits of this source with this reference, and no others. No pair is left "
            "to hold out, so a falling loss is no sign of success; look at the previews and at edits."
        )
    elif groups == 1:
        yield (
            f"All {spaced(pairs)} pairs show one thing. Expect edits that paint this thing; other things are not "
            "learned, and may be forgotten. Keep a photograph of it out of the folder, and edit with it as the "
            "reference: the training loss does not show whether that works."
        )
    elif groups < MIN_GROUPS:
        yield (
            f"The {spaced(pairs)} pairs show {groups} things. Keep whole things out for evaluation; it compares "
            f"editors only with {MIN_GROUPS} or more of them, and calls every comparison undecided with fewer."
        )
    else:
        yield (
            f"The {spaced(pairs)} pairs show {spaced(groups)} things. Keep whole things out for evaluation, at least "
            f"{MIN_GROUPS}: pairs of one thing are not independent of each other."
        )
    if pairs < FEW_PAIRS:
        yield (
            "Start from trained weights and mix general shards in (data.sources lists several folders with their "
            f"shares): from random weights, {spaced(pairs)} pair{'s teach' if pairs > 1 else ' teaches'} no editing."
        )
    masks = {origin: number for origin, number in facts["masks"].items() if origin != "none"}
    if masks:
        yield (
            f"{spaced(sum(masks.values()))} of {spaced(sum(facts['masks'].values()))} sources have an object mask "
            f"({_origins(masks)}), which training hides with its exact outline, a rough one, or its box. For the "
            "others it draws random grid cells, more of them where keypoints match. Check the outlines below."
        )
    else:
        yield "No source has an object mask; training hides random grid cells, more of them where keypoints match."
    yield (
        f"{spaced(matched)} of {spaced(pairs)} pairs have matched keypoints. Where none match, the two may show "
        "different things, or one thing from different sides."
    )


def _origins(masks: Mapping[str, int]) -> str:
    names = {"file": "from files", "alpha": "from alpha", "files": "from files", "box": "from boxes"}
    return ", ".join(f"{spaced(number)} {names.get(origin, f'by {origin}')}" for origin, number in masks.items())
