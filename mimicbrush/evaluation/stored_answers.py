"""Editors whose answers lie in files that were made elsewhere: what is missing, and which files an evaluation used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from mimicbrush.config import find_class
from mimicbrush.errors import some_of
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import EditorSpec
from mimicbrush.evaluation.evaluation_rounds import EditRound, load_editor
from mimicbrush.files import digest
from mimicbrush.requests import Editor, EditRequest


@runtime_checkable
class AnswersFromFiles(Protocol):
    """An editor that finds the answer to a sample in files, by the sample's id."""

    def files_of(self, id: str, seed: int) -> list[Path]:
        """Files of the answer to a sample; empty if there is none."""

    def find_faults(self, requests: Iterable[EditRequest]) -> list[str]:
        """All that is wrong with the answers to these requests, checked before the first edit."""


def has_stored_answers(spec: EditorSpec) -> bool:
    """Whether the editor's answers are files that were made elsewhere, so that their cost is unknown."""
    return hasattr(find_class(spec.class_path, Editor), "files_of")


def find_answer_faults(
    editor: Editor, rounds: Sequence[EditRound], samples: Mapping[str, Sequence[Sample]]
) -> list[str]:
    """Faults of stored answers to these rounds, of one editor; none for an editor without stored answers.

    samples: by set. A request names its sample by the id alone, so that no two sets may share one.
    """
    if not isinstance(editor, AnswersFromFiles):
        return []
    counts = Counter(sample.id for members in samples.values() for sample in members)
    if shared := [name for name, count in counts.items() if count > 1]:
        return [f"several sets have the sample {some_of(shared)}; evaluate each set by a config of its own"]
    return editor.find_faults(
        sample.request(each.seed, guided_by=EditRequest) for each in rounds for sample in each.unfinished()
    )


def digest_of_answers(edit_round: EditRound) -> str:
    """Fingerprint of the files that answer a round; a changed picture makes it another evaluation."""
    editor = load_editor(edit_round.spec)
    return digest(path for sample in edit_round.samples for path in editor.files_of(sample.id, edit_round.seed))
