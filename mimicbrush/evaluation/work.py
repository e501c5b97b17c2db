"""The work of an evaluation: edit, measure reference use, score. What is done is not done again, whoever did it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from mimicbrush.errors import Faults
from mimicbrush.evaluation.benchmark import Sample, swapped_references
from mimicbrush.evaluation.checks import lacking_reference_use, load_editor
from mimicbrush.evaluation.config import HELDOUT, EvaluateConfig
from mimicbrush.evaluation.edit_rounds import make_edits, read_record, unfinished
from mimicbrush.evaluation.measure_reference_use import record_reference_use
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.score_rounds import scoring_of
from mimicbrush.progress import Progress, progress_bar
from mimicbrush.requests import Editor
from mimicbrush.work_share import WorkShare

Samples = Mapping[str, Sequence[Sample]]
"""By set."""


def share_of(samples: Samples, work: WorkShare) -> Samples:
    """This task's samples: every `num_tasks`-th of all."""
    everything = [(set_name, sample) for set_name, members in samples.items() for sample in members]
    mine = work.by_position(everything)
    return {name: [sample for set_name, sample in mine if set_name == name] for name in samples}


def edit_all(config: EvaluateConfig, share: Samples, samples: Samples) -> None:
    """Make the edits of a share that are not there yet, and this task's part of the measurements of reference use.

    Editors are loaded one after the other, each once, and only where there is something for it to do.
    """
    left = {
        editor: sum(
            len(unfinished(share[set_name], config.edits(set_name, editor, seed))) for set_name, seed in _rounds(config)
        )
        for editor in config.editors
    }
    uses = lacking_reference_use(config, config.work)
    with progress_bar(total=sum(left.values()), desc="edits", unit="edit") as progress:
        for name in config.editors:
            pairs = [pairs for editor, pairs in uses if editor == name]
            if left[name] or pairs:
                editor = load_editor(config.editor(name))
                _edit(editor, name, config, share, samples, progress)
                for chosen in pairs:
                    _measure(editor, name, chosen, config, samples)


def score_all(config: EvaluateConfig, share: Samples, *, models: Models, not_computed: Collection[str]) -> None:
    """Score the edits of a share that are not scored yet, by all metrics but `not_computed`."""
    num_edits = sum(map(len, share.values())) * len(config.editors) * len(config.seeds)
    with progress_bar(total=num_edits, desc="scores", unit="score") as progress:
        for set_name, seed in _rounds(config):
            for editor in config.editors:
                scoring = scoring_of(config, set_name, editor, seed, models=models, not_computed=not_computed)
                before = progress.n
                for _ in scoring.complete(share[set_name]):
                    progress.update()
                # What was scored before, or has failed, is done as well.
                progress.update(before + len(share[set_name]) - progress.n)


def refuse_failed_editors(config: EvaluateConfig, share: Samples, *, are_listed: bool) -> None:
    """Raise UserError, naming each editor that has failed at everything that it was given.

    are_listed: whether the reasons have been printed, and are not repeated.
    """
    faults = Faults()
    for editor in config.editors:
        failures = [
            read_record(config.edits(set_name, editor, seed), sample).failure
            for set_name, seed in _rounds(config)
            for sample in share[set_name]
        ]
        if failures and all(failures):
            why = "as listed above" if are_listed else f"the first: {failures[0]}"
            faults.check(False, f"{editor}: all {len(failures)} edits failed, {why}")
    faults.refuse()


def _edit(
    editor: Editor, name: str, config: EvaluateConfig, share: Samples, samples: Samples, progress: Progress
) -> None:
    swapped = config.editor(name).references == "swapped"
    failed = 0
    for set_name, seed in _rounds(config):
        # Of the whole set and not of the share: what is swapped in must not depend on the number of tasks.
        references = swapped_references(samples[set_name]) if swapped else {}
        folder = config.edits(set_name, name, seed)
        for record in make_edits(
            editor, share[set_name], folder, seed=seed, batch_size=config.batch_size, references=references
        ):
            failed += bool(record.failure)
            progress.set_postfix_str(f"{name}, {failed} failed" if failed else name, refresh=False)
            progress.update()


def _measure(editor: Editor, name: str, pairs: str, config: EvaluateConfig, samples: Samples) -> None:
    judged = config.heldout if pairs == HELDOUT else samples[pairs]
    record_reference_use(editor, config.reference_use(name, pairs), judged, seed=min(config.seeds))


def _rounds(config: EvaluateConfig) -> Iterator[tuple[str, int]]:
    """Every set with every seed."""
    return ((set_name, seed) for set_name in config.sets for seed in config.seeds)
