"""Benchmark sets in the released layout: sets and samples; `benchmark_faults.py` finds what is wrong with a set.

`benchmark_layout.py` knows the files. Task and track come from the config, not from the folder's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from torch import Tensor

from mimicbrush.benchmark_layout import (
    GROUPS,
    MASK,
    PROMPTS,
    REFERENCE,
    REFERENCE_MASK,
    SOURCE,
    Task,
    Track,
    find_pictures,
    is_filled,
    read_texts,
)
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.files import sha256
from mimicbrush.model.reference_use import next_of_another_group
from mimicbrush.pictures.reading import read_frames, read_image, read_mask_frames
from mimicbrush.requests import EditRequest, ReferenceRequest, TextRequest


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One triplet of a benchmark set, with its prompt and its group."""

    id: str
    folder: Path
    task: Task
    track: Track
    group: str
    """Samples of one group, such as those made from one photograph, are not independent."""
    prompt: str | None = None
    """Description of the edited picture, with # around what is edited; None where the set has none."""

    @property
    def source(self) -> Path:
        """Path of the picture to edit."""
        return self.folder / f"{self.id}{SOURCE}"

    @property
    def mask(self) -> Path:
        """Path of the mask of the region to edit."""
        return self.folder / f"{self.id}{MASK}"

    @property
    def reference(self) -> Path:
        """Path of the picture to imitate."""
        return self.folder / f"{self.id}{REFERENCE}"

    @property
    def reference_mask(self) -> Path | None:
        """Path of the mask of the part to imitate; None where the set has none."""
        path = self.folder / f"{self.id}{REFERENCE_MASK}"
        return path if path.is_file() else None

    @property
    def paths(self) -> list[Path]:
        """Paths of all pictures of the sample."""
        return [path for path in (self.source, self.mask, self.reference, self.reference_mask) if path]

    def frames(self) -> tuple[Tensor, Tensor]:
        """Read source (T, 3, H, W) and mask (T, 1, H, W), as they are edited and scored."""
        source, mask = read_frames(self.source), read_mask_frames(self.mask)
        return source, mask.expand(len(source), -1, -1, -1) if len(mask) == 1 else mask

    def request(
        self, seed: int, *, guided_by: type[EditRequest] = ReferenceRequest, reference: Path | None = None
    ) -> EditRequest:
        """The sample as a request of the kind that an editor answers.

        guided_by: class of the request; reference: picture to use instead of the sample's own.
        Raises UserError where such a request needs more than a sample has.
        """
        source, mask = self.frames()
        given: dict[str, object] = {"source": source, "mask": mask, "seed": seed, "id": self.id}
        if issubclass(guided_by, TextRequest):
            given["prompt"] = (self.prompt or "").replace("#", "")
        if issubclass(guided_by, ReferenceRequest):
            given |= {"reference": read_image(reference or self.reference), "keep_shape": self.task == "texture"}
        asked = {field.name: field.default is MISSING for field in fields(guided_by)}
        missing = [name for name, is_needed in asked.items() if is_needed and name not in given]
        if missing:
            raise UserError(
                f"a sample of a benchmark set has no {', '.join(missing)} for a {guided_by.__name__}; choose an editor"
                " that is guided by a reference or a text prompt"
            )
        return guided_by(**{name: value for name, value in given.items() if name in asked})


def swapped_references(samples: Sequence[Sample]) -> dict[str, Path]:
    """Map each sample's id to the reference of a sample of another group; there must be at least two groups."""
    groups = [sample.group for sample in samples]
    return {sample.id: samples[next_of_another_group(groups, place)].reference for place, sample in enumerate(samples)}


def list_samples(benchmark_set: BenchmarkSet) -> list[Sample]:
    """List the samples of a sound set, sorted by id."""
    prompts, groups = (read_texts(benchmark_set.folder / name) for name in (PROMPTS, GROUPS))
    return [
        Sample(
            id=name,
            folder=benchmark_set.folder,
            task=benchmark_set.task,
            track=benchmark_set.track,
            prompt=prompts[name] if is_filled(prompts.get(name, "")) else None,
            # Without a name for the group, triplets with the same source picture form one.
            group=groups.get(name) or sha256(benchmark_set.folder / f"{name}{SOURCE}")[:8],
        )
        for name in find_pictures(benchmark_set.folder)
    ]
