"""Measurements of reference use: one editor on one kind of pairs, measured once and kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from mimicbrush.config import find_class
from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import HELDOUT, EditorSpec, EvaluateConfig, HeldoutConfig
from mimicbrush.evaluation.evaluation_rounds import load_editor
from mimicbrush.files import write_json
from mimicbrush.model.reference_use import COMPARISONS
from mimicbrush.pictures.geometry import binarise, letterbox
from mimicbrush.pictures.reading import read_image, read_mask
from mimicbrush.requests import Editor
from mimicbrush.statistics import Interval

ReferenceUseIntervals = dict[str, Interval]
"""Comparison (such as "another / both") to the share of pairs in which the right reference wins."""


@runtime_checkable
class MeasuresReferenceUse(Protocol):
    """An editor whose noise prediction shows how far it uses the reference; evaluation measures it where it can."""

    @property
    def canvas_size(self) -> int:
        """Pixels a side of the square pictures on which it is measured."""

    def measure_reference_use(
        self, batches: Sequence[InpaintingBatch], *, seed: int, keep_shape: bool
    ) -> ReferenceUseIntervals:
        """Share of pairs in which the right reference beats a wrong one, by the kind of wrong reference."""


@dataclass(frozen=True, kw_only=True)
class ReferenceUseMeasurement:
    """The measurement of one editor's reference use on one kind of pairs."""

    editor: str
    """Name of the editor in tables."""
    spec: EditorSpec
    """Class and arguments of the editor."""
    pairs_name: str
    """`heldout`, or the name of a set."""
    pairs: HeldoutConfig | Sequence[Sample]
    """Held-out pairs of training, or all samples of a set that has a truth."""
    seed: int
    path: Path
    """File of the result."""

    @property
    def is_finished(self) -> bool:
        """Whether the result has been written."""
        return self.path.is_file()


def list_measurements(
    config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]], *, editors: Iterable[str] | None = None
) -> list[ReferenceUseMeasurement]:
    """Every measurement of an evaluation: each editor on the held-out pairs and on each set that has a truth.

    An editor with swapped references is a control with another editor's network, which is not measured twice.
    samples: by set; editors: names, by default all.
    """
    pairs: dict[str, HeldoutConfig | Sequence[Sample]] = {HELDOUT: config.heldout} if config.heldout else {}
    if config.reference_use_of_sets:
        pairs |= {name: members for name, members in samples.items() if config.sets[name].track == "inner_id"}
    specs = {name: config.editor(name) for name in (config.editors if editors is None else editors)}
    return [
        ReferenceUseMeasurement(
            editor=editor,
            spec=spec,
            pairs_name=name,
            pairs=members,
            seed=min(config.seeds),
            path=config.output / "reference_use" / name / f"{editor}.json",
        )
        for editor, spec in specs.items()
        if spec.references == "own"
        for name, members in pairs.items()
    ]


def measure_all(measurements: Sequence[ReferenceUseMeasurement]) -> None:
    """Make the measurements that are missing; editors are loaded one after the other, as for their edits."""
    for name in dict.fromkeys(each.editor for each in measurements):
        unfinished = [each for each in measurements if each.editor == name and not each.is_finished]
        if unfinished:
            _measure(unfinished)


def _measure(measurements: Sequence[ReferenceUseMeasurement]) -> None:
    """Load the editor of the measurements, unless its class cannot measure reference use, and make them."""
    spec = measurements[0].spec
    can_measure = hasattr(find_class(spec.class_path, Editor), "measure_reference_use")
    editor = load_editor(spec) if can_measure else None
    for each in measurements:
        record_reference_use(editor, each.path, each.pairs, seed=each.seed)


def record_reference_use(
    editor: Editor | None,
    path: Path,
    pairs: HeldoutConfig | Sequence[Sample],
    *,
    seed: int,
    batch_size: int = 16,
) -> None:
    """Measure an editor's reference use and write it to `path`, as `null` if it is not defined.

    It is not defined without an editor that can measure it, nor for samples of a single group, because each pair needs
    a reference of another group. pairs: held-out pairs of training, or the samples of a set that has a truth.
    """
    use: ReferenceUseIntervals | None = None
    has_wrong_references = isinstance(pairs, HeldoutConfig) or len({sample.group for sample in pairs}) > 1
    if isinstance(editor, MeasuresReferenceUse) and has_wrong_references:
        size = editor.canvas_size
        if isinstance(pairs, HeldoutConfig):
            batches, keep_shape = heldout_batches(pairs.shards, size, pairs.num_pairs, seed), False
        else:
            batches, keep_shape = sample_batches(pairs, size, batch_size), pairs[0].task == "texture"
        use = editor.measure_reference_use(batches, seed=seed, keep_shape=keep_shape)
    write_json(use and {name: share._asdict() for name, share in use.items()}, path)


def sample_batches(samples: Sequence[Sample], size: int, batch_size: int) -> list[InpaintingBatch]:
    """Make batches of a set's samples on square canvases; the source is the truth to recover.

    A clip is represented by its first frame.
    """
    batches = []
    for first in range(0, len(samples), batch_size):
        members = samples[first : first + batch_size]
        batches.append(
            InpaintingBatch(
                source=torch.stack([letterbox(read_image(sample.source), size, fill=1.0)[0] for sample in members]),
                mask=torch.stack(
                    [binarise(letterbox(read_mask(sample.mask), size, fill=0.0)[0]) for sample in members]
                ),
                reference=torch.stack(
                    [letterbox(read_image(sample.reference), size, fill=1.0)[0] for sample in members]
                ),
                key=[sample.id for sample in members],
                group=[sample.group for sample in members],
                matches=torch.zeros(len(members), 0, 4),
            )
        )
    return batches


def read_reference_use(path: Path) -> ReferenceUseIntervals | None:
    """Read a result of `record_reference_use`; None if it is not defined."""
    try:
        use = json.loads(path.read_text(encoding="utf-8"))
        return use and {name: Interval(**share) for name, share in use.items()}
    except (ValueError, AttributeError, TypeError):
        raise UserError(f"{path}: damaged; delete it, and run the same command again to measure anew") from None


def format_reference_use(use: ReferenceUseIntervals | None) -> list[str]:
    """Format a table cell for each of COMPARISONS; `not defined` if there is no value."""
    if use is None:
        return ["not defined"] * len(COMPARISONS)
    return [f"{use[name].mean:.2f} [{use[name].low:.2f}, {use[name].high:.2f}]" for name in COMPARISONS]
