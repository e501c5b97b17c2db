"""Benchmark sets in the released layout: found, checked, and read as edit requests.

A set is a folder of `<id>_source.png`, `<id>_source_mask.png`, `<id>_reference.png`, with `<id>_reference_mask.png` and
`prompts.json` ({id: text}) where there are any. `groups.json` ({id: name}), ours, tells which samples are not
independent, made of one photograph for instance: intervals are bootstrapped over groups. Task and track come from the
config, not from the folder's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.files import digest
from mimicbrush.imaging import read_image, read_mask
from mimicbrush.model.reference_use import next_of_another_group
from mimicbrush.requests import EditRequest, ReferenceRequest, TextRequest

Task = Literal["texture", "parts"]
Track = Literal["inner_id", "inter_id"]

SOURCE, MASK, REFERENCE = "_source.png", "_source_mask.png", "_reference.png"
REFERENCE_MASK = "_reference_mask.png"
PROMPTS = "prompts.json"
GROUPS = "groups.json"


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One folder of the benchmark."""

    folder: Path
    """Where the pictures lie."""
    task: Task
    """texture: editors follow the source's shape (depth on); parts: they are free (depth off)."""
    track: Track
    """inner_id: the source itself is the truth; inter_id: there is none."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One triplet of a set, with its prompt and its group where there are any."""

    id: str
    folder: Path
    task: Task
    track: Track
    group: str
    """Samples of one group, made of one photograph for instance, are not independent."""
    prompt: str | None = None

    @property
    def source(self) -> Path:
        return self.folder / f"{self.id}{SOURCE}"

    @property
    def mask(self) -> Path:
        return self.folder / f"{self.id}{MASK}"

    @property
    def reference(self) -> Path:
        return self.folder / f"{self.id}{REFERENCE}"

    @property
    def reference_mask(self) -> Path | None:
        """None where the set has none for this sample."""
        path = self.folder / f"{self.id}{REFERENCE_MASK}"
        return path if path.is_file() else None

    @property
    def paths(self) -> list[Path]:
        """Every picture of the sample."""
        return [path for path in (self.source, self.mask, self.reference, self.reference_mask) if path]

    def request(
        self, seed: int, *, guided_by: type[EditRequest] = ReferenceRequest, reference: Path | None = None
    ) -> EditRequest:
        """The sample as an editor is given it.

        guided_by: the class of request that the editor takes; reference: another than the sample's own.
        """
        common = {"source": read_image(self.source)[None], "mask": read_mask(self.mask)[None], "seed": seed}
        if issubclass(guided_by, TextRequest):
            return guided_by(**common, prompt=(self.prompt or "").replace("#", ""))
        return guided_by(**common, reference=read_image(reference or self.reference), keep_shape=self.task == "texture")


def swapped_references(samples: Sequence[Sample]) -> dict[str, Path]:
    """Id -> the reference of a sample of another group; the samples are of at least two."""
    groups = [sample.group for sample in samples]
    return {sample.id: samples[next_of_another_group(groups, place)].reference for place, sample in enumerate(samples)}


def read_sets(sets: dict[str, BenchmarkSet], needs: object = None) -> dict[str, list[Sample]]:
    """The samples of every set, by id. Raises one UserError that names every fault of every set."""
    faults = [fault for benchmark_set in sets.values() if (fault := _describe_faults(benchmark_set))]
    if faults:
        raise UserError("; ".join(faults))
    return {name: _samples(benchmark_set) for name, benchmark_set in sets.items()}


def find_faults(benchmark_set: BenchmarkSet) -> list[str]:
    """Everything that keeps the set from being edited and scored; empty for a sound set."""
    folder = benchmark_set.folder
    if not folder.is_dir():
        return ["no such folder"]
    ids = _find_ids(folder)
    if not ids:
        return [f"no triplet; expected files such as 000{SOURCE}, 000{MASK}, 000{REFERENCE}"]
    faults = [fault for name in ids for fault in _triplet_faults(folder, name)]
    return faults + _text_faults(folder / PROMPTS, ids) + _text_faults(folder / GROUPS, ids)


def _describe_faults(benchmark_set: BenchmarkSet) -> str | None:
    faults = find_faults(benchmark_set)
    if not faults:
        return None
    number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{benchmark_set.folder}: {number}: {'; '.join(faults)}"


def _samples(benchmark_set: BenchmarkSet) -> list[Sample]:
    prompts, groups = (_read_texts(benchmark_set.folder / name) for name in (PROMPTS, GROUPS))
    return [
        Sample(
            id=name,
            folder=benchmark_set.folder,
            task=benchmark_set.task,
            track=benchmark_set.track,
            prompt=prompts.get(name),
            group=groups.get(name) or digest([benchmark_set.folder / f"{name}{SOURCE}"])[:8],
        )
        for name in _find_ids(benchmark_set.folder)
    ]


def _find_ids(folder: Path) -> list[str]:
    """Ids of which any picture is there, so that a triplet with a hole is found too."""
    return sorted(
        {
            path.name.removesuffix(suffix)
            for suffix in (SOURCE, MASK, REFERENCE, REFERENCE_MASK)
            for path in folder.glob(f"*{suffix}")
        }
    )


def _triplet_faults(folder: Path, name: str) -> list[str]:
    faults: list[str] = []
    source = _try_read(read_image, folder, name, SOURCE, faults)
    mask = _try_read(read_mask, folder, name, MASK, faults)
    reference = _try_read(read_image, folder, name, REFERENCE, faults)
    faults += _mask_faults(f"{name}: mask", mask, "source", source, may_be_full=False)
    if (folder / f"{name}{REFERENCE_MASK}").exists():
        mask = _try_read(read_mask, folder, name, REFERENCE_MASK, faults)
        faults += _mask_faults(f"{name}: reference mask", mask, "reference", reference, may_be_full=True)
    return faults


def _try_read(read: Callable[[Path], Tensor], folder: Path, name: str, suffix: str, faults: list[str]) -> Tensor | None:
    """The picture, or None with a line added to `faults`."""
    path, what = folder / f"{name}{suffix}", suffix.removeprefix("_").removesuffix(".png").replace("_", " ")
    if not path.is_file():
        faults.append(f"{name}: {what} is missing ({path.name})")
        return None
    try:
        return read(path)
    except UserError:
        faults.append(f"{name}: {what} is not a readable picture ({path.name})")
        return None


def _mask_faults(
    label: str, mask: Tensor | None, owner: str, picture: Tensor | None, *, may_be_full: bool
) -> list[str]:
    if mask is None:
        return []
    if picture is not None and mask.shape[1:] != picture.shape[1:]:
        return [f"{label} is {_size(mask)}, {owner} is {_size(picture)}"]
    if not mask.any():
        return [f"{label} is empty"]
    if mask.all() and not may_be_full:
        return [f"{label} is full, which leaves nothing to keep"]
    return []


def _size(picture: Tensor) -> str:
    """Width x height, as picture viewers say it."""
    return f"{picture.shape[2]}x{picture.shape[1]}"


def _read_texts(path: Path) -> dict[str, str]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _text_faults(path: Path, ids: list[str]) -> list[str]:
    try:
        texts = _read_texts(path)
    except ValueError as error:
        return [f"{path.name} is not JSON ({error})"]
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        return [f"{path.name} must map ids to texts"]
    return [f"{path.name} names {name}, which has no pictures" for name in texts if name not in ids]
