"""Benchmark sets: samples and their files, and each sample as a request of any kind.

`benchmark_layout.py` knows the files, `benchmark_faults.py` finds what is wrong with them. Task and track come from the
config, not from the folder's name.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import MISSING, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.benchmark_layout import (
    FLOW,
    GROUPS,
    MASK,
    OBJECT_MASK,
    PROMPTS,
    REFERENCE,
    REFERENCE_MASK,
    SOURCE,
    TASKS_WITH_FLOW,
    TRUTH,
    TRUTH_MASK,
    ClipFacts,
    SampleFacts,
    Task,
    Track,
    find_pictures,
    is_filled,
    pictures_of,
    read_clip_facts,
    read_facts,
    read_texts,
)
from mimicbrush.errors import UserError
from mimicbrush.evaluation.config import BenchmarkSet, MaskSupply
from mimicbrush.files import sha256
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.model.reference_use import next_of_another_group
from mimicbrush.pictures.reading import read_frames, read_image, read_mask, read_mask_frames
from mimicbrush.requests import EditRequest, ReferenceRequest


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample of a benchmark set, with its prompt and its group."""

    id: str
    folder: Path
    task: Task
    track: Track
    group: str
    """Samples of one group, such as those made from one photograph, are not independent."""
    prompt: str | None = None
    """Description of the edited picture, with # around what is edited; None where the set has none."""
    facts: SampleFacts | ClipFacts | None = None
    """All that a set with a truth, or of clips, says about the sample; None for other sets."""

    @property
    def source(self) -> Path:
        """Path of the picture to edit."""
        return self._path(SOURCE)

    @property
    def mask(self) -> Path | None:
        """Path of the mask of the region to edit; None where a set of clips has none."""
        return self._if_there(MASK) if self.track == "clips" else self._path(MASK)

    @property
    def reference(self) -> Path | None:
        """Path of the picture to imitate, or of a video set's target; None for tasks without a reference."""
        return self._path(REFERENCE) if REFERENCE in pictures_of(self.task, self.track) else None

    @property
    def reference_mask(self) -> Path | None:
        """Path of the mask of the part to imitate; None where the set has none."""
        return self._if_there(REFERENCE_MASK)

    @property
    def truth(self) -> Path | None:
        """Path of the true result: on inner-ID the source; None in sets without a truth."""
        return {"inner_id": self.source, "truth": self._path(TRUTH)}.get(self.track)

    @property
    def truth_mask(self) -> Path | None:
        """Path of the mask of the true object; None in sets without a truth of their own."""
        return self._path(TRUTH_MASK) if self.track == "truth" else None

    @property
    def object_mask(self) -> Path | None:
        """Path of the mask of the object in the source; None where the set has none."""
        return self._if_there(OBJECT_MASK)

    @property
    def flow(self) -> Path | None:
        """Path of the flow that is asked for, or of the truth's; None in sets without flow."""
        return self._path(FLOW) if self.task in TASKS_WITH_FLOW and self.track == "truth" else None

    @property
    def paths(self) -> list[Path]:
        """Paths of all files of the sample, without those that several samples share."""
        found = [self.source, self.mask, self.reference, self.reference_mask]
        if self.track == "truth":
            found += [self.truth, self.truth_mask, self.object_mask, self.flow]
        return [path for path in found if path]

    def frames(self) -> tuple[Tensor, Tensor]:
        """Read source (T, 3, H, W) and mask (T, 1, H, W), as they are edited and scored; without a mask, it is full."""
        source = read_frames(self.source)
        return source, torch.ones_like(source[:, :1]) if self.mask is None else read_masks(self.mask, len(source))

    def request(
        self,
        seed: int,
        *,
        guided_by: type[EditRequest] = ReferenceRequest,
        reference: Path | None = None,
        mask_supply: MaskSupply = "given",
    ) -> EditRequest:
        """The sample as a request of the kind that an editor answers.

        guided_by: class of the request; reference: picture to use instead of the sample's own; mask_supply: see
        `EditorSpec.mask`; a mask is withheld only if the kind of request can do without.
        Raises UserError where such a request needs more than a sample has.
        """
        asked = {field.name: field.default is MISSING for field in fields(guided_by)}
        given: dict[str, object] = {"seed": seed, "id": self.id, "keep_shape": self.task == "texture"}
        given |= self._texts() | self._pictures(reference or self.reference, asked)
        if mask_supply == "object":
            if self.object_mask is None:
                raise UserError("the set has no masks of its objects; give its editors `mask: given`")
            given["mask"] = read_masks(self.object_mask, len(given["source"]))
        elif mask_supply == "withheld" or self.mask is None:
            del given["mask"]
        missing = [name for name, is_needed in asked.items() if is_needed and given.get(name) is None]
        if missing:
            raise UserError(
                f"a sample of a benchmark set has no {', '.join(missing)} for a {guided_by.__name__}; choose an editor"
                " that is guided by what the set has"
            )
        return guided_by(**{name: value for name, value in given.items() if name in asked and value is not None})

    def texts(self) -> dict[str, object]:
        """Everything said in words or numbers to an editor that is guided by a text."""
        return {} if self.facts is None else {name: value for name, value in self._texts().items() if value}

    def _texts(self) -> dict[str, object]:
        """Fields of all kinds of requests that are texts or numbers; None for those that the sample lacks."""
        prompt, facts = (self.prompt or "").replace("#", ""), self.facts
        region, screen = (getattr(facts, name, None) for name in ("region_prompt", "screen_prompt"))
        return {
            "prompt": prompt,
            "target_prompt": prompt or None,
            "prompts": (prompt,) if prompt else None,
            "source_prompt": facts and facts.source_prompt,
            "source_prompts": (facts.source_prompt,) if facts and facts.source_prompt else (),
            "region_prompts": (region,) if region else (),
            "screen_prompts": (screen,) if screen else (),
            "fps": facts and facts.fps,
        }

    def _pictures(self, reference: Path | None, asked: Container[str]) -> dict[str, Tensor | None]:
        """Fields of all kinds of requests that are pictures or flow; only those asked for are read."""
        source, mask = self.frames()
        picture = read_image(reference) if reference and {"reference", "target_image"} & set(asked) else None
        flow = torch.from_numpy(read_flow(self.flow).flow) if self.flow and "flow" in asked else None
        return {
            "source": source,
            "mask": mask,
            "reference": picture,
            "target_image": picture,
            "target_mask": _mask_of(reference) if reference and "target_mask" in asked else None,
            "flow": flow,
        }

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.id}{suffix}"

    def _if_there(self, suffix: str) -> Path | None:
        """Path of an optional picture of the set's layout; None if the sample has none."""
        path = self._path(suffix)
        return path if suffix in pictures_of(self.task, self.track) and path.is_file() else None


def read_masks(path: Path, num_frames: int) -> Tensor:
    """Read a mask as (T, 1, H, W), 0 or 1; one frame stands for all."""
    mask = read_mask_frames(path)
    return mask.expand(num_frames, -1, -1, -1) if len(mask) == 1 else mask


def _mask_of(reference: Path) -> Tensor | None:
    """Read the mask (1, h, w) of a reference's object, which lies beside it; None where there is none."""
    path = reference.with_name(reference.name.removesuffix(REFERENCE) + REFERENCE_MASK)
    return read_mask(path) if path.is_file() else None


def swapped_references(samples: Sequence[Sample]) -> dict[str, Path]:
    """Map each sample's id to the reference of a sample of another group; there must be at least two groups."""
    groups = [sample.group for sample in samples]
    return {sample.id: samples[next_of_another_group(groups, place)].reference for place, sample in enumerate(samples)}


def material_of_reference(reference: Path) -> str | None:
    """Name the material that a reference of a set with a truth shows; None if the set does not name it."""
    return read_facts(reference.parent)[reference.name.removesuffix(REFERENCE)].material


def list_samples(benchmark_set: BenchmarkSet) -> list[Sample]:
    """List the samples of a sound set, sorted by id; only those of its vocabulary, if it names one."""
    folder, task, track = benchmark_set.folder, benchmark_set.task, benchmark_set.track
    prompts, groups = (read_texts(folder / name) for name in (PROMPTS, GROUPS))
    facts = {"truth": read_facts, "clips": read_clip_facts}.get(track, lambda _: {})(folder)
    if facts:
        prompts = {name: entry.prompt or "" for name, entry in facts.items()}
    wanted = benchmark_set.vocabulary
    return [
        Sample(
            id=name,
            folder=folder,
            task=task,
            track=track,
            prompt=prompts[name] if is_filled(prompts.get(name, "")) else None,
            # Without a name for the group, samples with the same source picture form one.
            group=groups.get(name) or sha256(folder / f"{name}{SOURCE}")[:8],
            facts=facts.get(name),
        )
        for name in find_pictures(folder, pictures_of(task, track))
        if (not wanted or facts[name].vocabulary == wanted) and fnmatchcase(name, benchmark_set.ids)
    ]
