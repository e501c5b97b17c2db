"""Paired comparison of two editors on the same samples: differences and win rates by every metric of every set.

Pairs match by set, id and seed. Intervals are bootstrapped over groups, because seeds of one sample, and samples of one
photograph, are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.statistics import MIN_GROUPS, TIE, Better, Interval, compare_pairs, win

ComparisonVerdict = Literal["better", "worse", "undecided", "equal", ""]


class DirectedMetric(Protocol):
    """The part of a metric that a comparison uses."""

    better: Better | None


class PairedSample(NamedTuple):
    """Values of one sample for the first and the second editor; they may be infinite."""

    id: str
    seed: int
    group: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The second value minus the first; 0 if both are infinite."""
        return 0.0 if self.first == self.second else self.second - self.first


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """The second editor compared with the first, by one metric on one set."""

    set_name: str
    metric: str
    better: Better | None
    first: str
    second: str
    samples: list[PairedSample]
    """Samples for which both editors have a value; may be empty."""
    difference: Interval | None
    """Mean of the second minus the first value, over the pairs of finite values."""
    win_rate: Interval | None
    """Share of samples in which the second is better, a tie counting half; None if no direction is better."""
    num_pairs: int
    """Number of samples that both editors have edited."""
    num_missing: tuple[int, int]
    """Number of these for which the first editor, and the second, has no value."""
    num_infinite: int
    """Number of `samples` with an infinite value, which the difference leaves out."""

    @property
    def note(self) -> str:
        """Names the pairs that the difference and the win rate leave out; empty if there are none."""
        notes = []
        if left_out := self.num_pairs - len(self.samples):
            numbers = zip(self.num_missing, (self.first, self.second), strict=True)
            whose = ", ".join(f"{number} by {name}" for number, name in numbers if number)
            notes.append(f"{left_out} of {self.num_pairs} pairs left out, which lack a value: {whose}")
        if self.num_infinite:
            counted = ", and the win rate counts" if self.better else ""
            infinite = f"{self.num_infinite} of {len(self.samples)} pairs hold an infinite value"
            notes.append(f"{infinite}, which the difference leaves out{counted}")
        return "; ".join(notes)

    @property
    def verdict(self) -> ComparisonVerdict:
        """Whether the second is better, by the difference or, if values are infinite, by the win rate.

        Undecided if the interval includes 0 (or a win rate of 0.5), or is based on fewer than MIN_GROUPS groups.
        """
        if self.better is None or self.win_rate is None:
            return ""
        if not self.differs:
            return "equal"
        infinite = any(math.isinf(value) for sample in self.samples for value in (sample.first, sample.second))
        interval, even = (self.win_rate, 0.5) if infinite else (self.difference, 0.0)
        if interval.groups < MIN_GROUPS or interval.low <= even <= interval.high:
            return "undecided"
        return "better" if (interval.low > even) == (infinite or self.better == "higher") else "worse"

    @property
    def differs(self) -> bool:
        """Whether any sample's values differ."""
        return any(abs(sample.difference) > TIE for sample in self.samples)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Number of wins, ties and losses of the second; zeros if no direction is better."""
        if self.better is None:
            return 0, 0, 0
        wins = [win(sample.first, sample.second, self.better) for sample in self.samples]
        return wins.count(1.0), wins.count(0.5), wins.count(0.0)

    def fields(self) -> dict:
        """Convert the comparison to JSON, without its samples."""
        wins, ties, losses = self.outcomes
        return {
            "set": self.set_name,
            "metric": self.metric,
            "better": self.better,
            "first": self.first,
            "second": self.second,
            "samples": len(self.samples),
            "difference": self.difference and self.difference._asdict(),
            "win_rate": self.win_rate and self.win_rate._asdict(),
            "wins": wins,
            "ties": ties,
            "losses": losses,
            "verdict": self.verdict,
            "note": self.note,
        }


def compare_editors(edits: Sequence[EditResult], metrics: Mapping[str, DirectedMetric]) -> list[PairedComparison]:
    """Compare every editor with the first one in `edits`, on every set and by every metric that has values there."""
    first, *others = dict.fromkeys(edit.editor for edit in edits)
    return [
        comparison
        for other in others
        for comparison in compare_edits(
            [edit for edit in edits if edit.editor == first],
            [edit for edit in edits if edit.editor == other],
            metrics,
            first=first,
            second=other,
        )
    ]


def compare_edits(
    first_edits: Sequence[EditResult],
    second_edits: Sequence[EditResult],
    metrics: Mapping[str, DirectedMetric],
    *,
    first: str,
    second: str,
) -> list[PairedComparison]:
    """Compare two editors on the samples that both have edited; first, second: names of the editors."""
    others = {(edit.set_name, edit.id, edit.seed): edit for edit in second_edits}
    pairs = [(edit, others[key]) for edit in first_edits if (key := (edit.set_name, edit.id, edit.seed)) in others]
    comparisons = []
    for set_name in dict.fromkeys(edit.set_name for edit, _ in pairs):
        members = [pair for pair in pairs if pair[0].set_name == set_name]
        # A metric without weights was computed for neither editor, and is left out.
        valued = {name for pair in members for edit in pair for name in metrics if _value(edit, name) is not None}
        comparisons += [
            _compare(members, name, metric.better, first, second) for name, metric in metrics.items() if name in valued
        ]
    return comparisons


def _compare(
    pairs: Sequence[tuple[EditResult, EditResult]], metric: str, better: Better | None, first: str, second: str
) -> PairedComparison:
    samples, num_missing = [], [0, 0]
    for one, other in pairs:
        values = [_value(edit, metric) for edit in (one, other)]
        if None not in values:
            samples.append(PairedSample(one.id, one.seed, one.group, *values))
        num_missing = [number + (value is None) for number, value in zip(num_missing, values, strict=True)]
    columns = [[getattr(sample, field) for sample in samples] for field in ("first", "second", "group")]
    paired = compare_pairs(*columns, better=better) if samples else None
    return PairedComparison(
        set_name=pairs[0][0].set_name,
        metric=metric,
        better=better,
        first=first,
        second=second,
        samples=samples,
        difference=paired and paired.difference,
        win_rate=paired and paired.win_rate,
        num_pairs=len(pairs),
        num_missing=tuple(num_missing),
        num_infinite=paired.infinite if paired else 0,
    )


def _value(edit: EditResult, metric: str) -> float | None:
    return edit.scores[metric].value if metric in edit.scores else None
