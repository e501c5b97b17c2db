"""Reference use of the editors that predict noise, measured once for each and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.evaluation.run import HeldoutConfig
from mimicbrush.files import write_json
from mimicbrush.model.reference_use import COMPARISONS, measure_reference_use
from mimicbrush.requests import Editor
from mimicbrush.statistics import Interval

ReferenceUse = dict[str, Interval]
"""Comparison (such as "another / both") to the share of pairs in which the right reference wins."""


def record_reference_use(
    editor: Editor,
    path: Path,
    heldout: HeldoutConfig,
    *,
    seed: int,
    load_batches: Callable = heldout_batches,
    measure: Callable[..., ReferenceUse] = measure_reference_use,
) -> None:
    """Measure an editor's reference use and write it to `path`; `null` for an editor that predicts no noise.

    load_batches, measure: how pairs are read and judged.
    """
    use: ReferenceUse | None = None
    if editor.network is not None:
        batches = load_batches(heldout.shards, editor.network.size, heldout.num_pairs, seed)
        use = measure(editor.network, batches, seed=seed, progress=True)
    write_json(use and {name: share._asdict() for name, share in use.items()}, path)


def read_reference_use(path: Path) -> ReferenceUse | None:
    """What `record_reference_use` wrote; None where it is not defined."""
    use = json.loads(path.read_text())
    return use and {name: Interval(**share) for name, share in use.items()}


def format_reference_use(use: ReferenceUse | None) -> list[str]:
    """A cell for each of COMPARISONS; `not defined` for an editor that predicts no noise."""
    if use is None:
        return ["not defined"] * len(COMPARISONS)
    return [f"{use[name].mean:.2f} [{use[name].low:.2f}, {use[name].high:.2f}]" for name in COMPARISONS]
