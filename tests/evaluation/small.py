"""Helpers that tests of the whole command share: editors whose answers are known, and short cuts to their results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch

from mimicbrush.editors.baselines import Identity
from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_frames
from mimicbrush.requests import Edited, Editor, EditRequest, ReferenceRequest, TextRequest

STAND_INS = __name__
BASELINES = "mimicbrush.editors.baselines"
IDENTITY = {"class_path": f"{BASELINES}.Identity"}
PASTE = {"class_path": f"{BASELINES}.ReferencePaste"}


class SeededNoise(Editor):
    """Fills the mask with noise of the request's seed and the source's own mean: wrong if batches mix samples up."""

    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        generator = torch.Generator().manual_seed(request.seed)
        noise = torch.rand(request.source.shape, generator=generator) * request.source.mean()
        return Edited(torch.where(request.mask > 0.5, noise, request.source))


class Broken(Editor):
    """Answers with NaN, as a diverged network does."""

    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        return Edited(torch.full_like(request.source, math.nan))


class RefusesDark(Editor):
    """Refuses sources below a mean brightness, and counts how often it is asked."""

    def __init__(self, below: float = 0.49) -> None:
        self.below = below

    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        if request.source.mean() < self.below:
            raise UserError(f"too dark: {request.source.mean():.3f}")
        return Edited(request.source)


class Sentence(Editor):
    """Answers with a grey whose level is the prompt's length."""

    request_class = TextRequest

    def edit(self, request: TextRequest, *, on_progress=None) -> Edited:
        return Edited(torch.where(request.mask > 0.5, torch.tensor(len(request.prompt) / 255), request.source))


class Truth(Editor):
    """Answers with the truth of a set, moved to the right by pixels; proposes the middle of the picture as mask."""

    request_class = EditRequest

    def __init__(self, folder: str, shift: int = 0) -> None:
        self.folder, self.shift = Path(folder), shift

    def edit(self, request: EditRequest, *, on_progress=None) -> Edited:
        truth = read_frames(self.folder / f"{request.id}_truth.png")
        mask = torch.zeros_like(truth[:, :1])
        mask[..., 12:36, 12:36] = 1
        return Edited(truth.roll(self.shift, dims=3), {"mask": mask})


class Shapeless(Editor):
    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        return Edited(request.source[..., :5])


class Bytes(Editor):
    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        return Edited((request.source * 255).byte())


class Nothing(Editor):
    def edit(self, request: ReferenceRequest, *, on_progress=None) -> None:
        return None


class TooFew(Identity):
    def edit_batch(self, requests: list[ReferenceRequest], *, on_progress=None) -> list[Edited]:
        return super().edit_batch(requests)[1:]


class Loaded(Editor):
    """Takes a checkpoint and has no use for it."""

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def edit(self, request: ReferenceRequest, *, on_progress=None) -> Edited:
        return Edited(request.source)


def mean_colour(**arguments) -> dict:
    return {"class_path": f"{BASELINES}.MeanColour", "init_args": arguments}


def one_set(folder: Path, track: str = "inner_id") -> dict:
    return {"small": {"folder": str(folder), "task": "texture", "track": track}}


def strict_json(path: Path) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def numbers(output: Path) -> list:
    """Every sample's scores and every mean, without times."""
    results = strict_json(output / "results.json")
    names = ("set", "editor", "seed", "id", "scores", "failure")
    return [[[edit[name] for name in names] for edit in results["edits"]], results["means"]]
