"""Builds an inner-ID set: source and reference are two photographs of one subject (paper, appendix A: DreamBooth)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.build_set import build_set
from mimicbrush.evaluation.build.candidates import Candidate, Quota, crossed, shuffled
from mimicbrush.evaluation.build.collection import Collection
from mimicbrush.evaluation.build.config import InnerIdConfig
from mimicbrush.evaluation.build.triplets import claimed
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.folder_lock import held
from mimicbrush.segmentation.photographs import PhotographFile


def build_inner_id(config: InnerIdConfig) -> None:
    """Build an inner-ID set; raises UserError if an input is missing, or no triplet can be made."""
    with held(config.output):
        subjects = Collection(config.subjects, config.size, seed=config.seed, masks=config.output / "masks")
        quotas = subject_quotas(subjects.photographs, config.triplets_per_subject, seed=config.seed)
        benchmark = BenchmarkSet(folder=config.output, task=config.task, track="inner_id")
        with claimed(config.output, config, subjects.inputs()):
            build_set(benchmark, quotas, subjects, subjects)


def subject_quotas(photographs: dict[str, PhotographFile], per_subject: int, *, seed: int) -> list[Quota]:
    """Make a quota for each subject; raises UserError if a photograph lies outside the folders of subjects."""
    subjects: dict[str, list[str]] = {}
    for file in photographs:
        subjects.setdefault(PurePosixPath(file).parent.as_posix(), []).append(file)
    if "." in subjects:
        raise UserError(f"{subjects['.'][0]}: lies in no subject's folder; expected files such as dog/00.jpg")
    return [
        Quota(subject, per_subject, _candidates(subject, shuffled(files, seed, subject), photographs))
        for subject, files in sorted(subjects.items())
    ]


def _candidates(subject: str, files: list[str], photographs: dict[str, PhotographFile]) -> Iterator[Candidate]:
    for source, reference in crossed(files, [*files[1:], files[0]]):
        if source != reference:
            yield Candidate(source, reference, photographs[source].origin.get("group", subject))
