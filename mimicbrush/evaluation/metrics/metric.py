"""The description of a metric: title, unit, direction, and the sets that it applies to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mimicbrush.benchmark_layout import Task, Track
from mimicbrush.evaluation.config import Need
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score, score_each

Compute = Callable[[Sequence[EditedPicture], Models], list[Score]]

TEXTURE: frozenset[Task] = frozenset({"texture"})
BOTH_TASKS: frozenset[Task] = frozenset({"texture", "parts"})
INNER: frozenset[Track] = frozenset({"inner_id"})
INTER: frozenset[Track] = frozenset({"inter_id"})
ALL_TASKS: frozenset[Task] = frozenset(get_args(Task))
TRUTH: frozenset[Track] = frozenset({"truth"})
CLIPS: frozenset[Track] = frozenset({"clips"})
WITH_CLIPS: frozenset[Task] = BOTH_TASKS | {"video"}
"""Tasks whose edits are compared with a reference or a prompt."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure of one edit."""

    title: str
    unit: str = ""
    better: Literal["higher", "lower"] | None
    """None if the number describes the edit without judging it."""
    tasks: frozenset[Task] = BOTH_TASKS
    tracks: frozenset[Track]
    meaning: str
    """One sentence for the report."""
    needs: frozenset[Need] = frozenset()
    """Files or texts that a sample must have to be scored."""
    model: str | None = None
    """Field of ModelsConfig that names its network; None if it needs no weights."""
    looks_inside: bool = True
    """Whether it needs a masked pixel; a frame of a clip may have none."""
    is_share: bool = False
    """Whether a picture scores either 0 or 100; the mean is then a share, with an exact interval where all agree."""
    column: str | None = None
    """Column in the paper's tables."""
    compute: Compute
    """Computes the scores of edits that have everything it needs, in their order."""


def each(function: Callable[[EditedPicture], float]) -> Compute:
    """Make a metric that needs no network from a function of one edit."""
    return lambda edits, models: score_each(function, edits)
