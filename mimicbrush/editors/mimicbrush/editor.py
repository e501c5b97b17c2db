"""Imitative editing with a trained network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.editors.mimicbrush.rounds import Part, next_round, rounds_of
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.model.config import check_sampling
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import OnStep, draw_noise, make_scheduler, sample, seeded_generators
from mimicbrush.model.weights.build import load_network
from mimicbrush.pictures import geometry, released_geometry
from mimicbrush.pictures.crop_regions import crop_regions, describe_small_mask, whole_picture
from mimicbrush.pictures.geometry import binarise, match_colours, unletterbox
from mimicbrush.requests import Editor, Precision, ReferenceRequest

GEOMETRIES = {"exact": geometry, "released": released_geometry}

POSTERIOR_SEED = 0
"""Seed for drawing from the autoencoder's posteriors: equal pictures are encoded equally, whatever the edit's seed, so
that samples of one edit share everything but their noise."""


class Prepared(NamedTuple):
    """A part on the network's square canvas."""

    source: Tensor
    mask: Tensor
    reference: Tensor


class MimicBrushEditor(Editor):
    """Repaints the masked region after the reference, and pastes it back at the source's own size.

    checkpoint: a training run, an exported folder or hub repository, a released mimicbrush.bin, or a network in
    memory. use_ema: a run's averaged weights; keep_shape: follow the source's shape map or do not, whatever the request
    says; device: `auto` takes a GPU where there is one, a network in memory stays where it is; precision: `auto` is
    float16 on a GPU, as in the release, and float32 elsewhere; scheduler: a sampler of diffusers, by name or made.
    settings: fields of `EditSettings`; its numbers are, where they are not given, those that the weights recommend.
    Raises UserError where the weights are missing or do not fit, or a setting is outside its limits.
    """

    def __init__(
        self,
        checkpoint: str | Path | MimicBrushNetwork,
        *,
        scheduler: str | SchedulerMixin = "DDIMScheduler",
        use_ema: bool = True,
        keep_shape: bool | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        **settings,
    ) -> None:
        given = EditSettings(**settings)
        if isinstance(checkpoint, MimicBrushNetwork):
            self.network = checkpoint
        else:
            place = choose_device(device)
            dtype = choose_dtype(precision, place)
            self.network = load_network(checkpoint, use_ema=use_ema, dtype=dtype).to(place)
        if isinstance(scheduler, str):
            scheduler = make_scheduler(self.network.options.prediction_type, scheduler)
        # Offset steps would begin behind the last timestep.
        max_steps = scheduler.config.num_train_timesteps - scheduler.config.get("steps_offset", 0)
        self.settings = given.resolved(self.network.options.recommended)
        check_sampling(
            num_inference_steps=self.settings.num_inference_steps,
            guidance_scale=self.settings.guidance_scale,
            max_steps=max_steps,
        )
        self.scheduler = scheduler
        self.keep_shape = keep_shape
        self.geometry = GEOMETRIES[self.settings.geometry]

    def edit(self, request: ReferenceRequest) -> Tensor:
        return self.edit_batch([request])[0]

    def edit_batch(self, requests: list[ReferenceRequest]) -> list[Tensor]:
        return [samples[0] for samples in self.sample_batch(requests)]

    @torch.no_grad()
    def sample_batch(
        self,
        requests: list[ReferenceRequest],
        *,
        num_samples: int = 1,
        generators: list[torch.Generator] | None = None,
        on_step: OnStep | None = None,
    ) -> list[list[Tensor]]:
        """`num_samples` results of each request, with seeds seed, seed + 1, ...; all are denoised together.

        Each result equals what its seed alone would give. generators: one per sample in place of the seeds', from which
        a request's frames and regions draw in turn; on_step: as in `sample`, once for each of `num_rounds`.
        """
        if self.settings.regions == "in_turn":
            return self._sample_in_turn(requests, num_samples, generators, on_step)
        divided = [self._parts(request) for request in requests]
        drawn_from = generators * sum(map(len, divided)) if generators else None
        return self._sample(divided, num_samples, drawn_from, on_step)

    def num_rounds(self, request: ReferenceRequest) -> int:
        """How often sampling begins anew: for each region, where they are edited in turn."""
        return len(rounds_of(self._parts(request))) if self.settings.regions == "in_turn" else 1

    def hints(self, request: ReferenceRequest) -> list[str]:
        """Sentences for a person whose mask lets little of an edit be seen."""
        cropped, size = self.settings.crop_to_mask or self.settings.regions != "together", self.network.size
        said = [
            describe_small_mask(part.region, size=size, cropped=cropped, feather=self.geometry.feather)
            for part in self._parts(request)
        ]
        return [sentence for sentence in said if sentence]

    def _sample_in_turn(
        self,
        requests: list[ReferenceRequest],
        num_samples: int,
        generators: list[torch.Generator] | None,
        on_step: OnStep | None,
    ) -> list[list[Tensor]]:
        """Samples see different pictures after the first round: each is a request of its own."""
        asked = [replace(request, seed=request.seed + n) for request in requests for n in range(num_samples)]
        own_generators = generators * len(requests) if generators else [None] * len(asked)
        rounds, results = [rounds_of(self._parts(request)) for request in asked], [request.source for request in asked]
        for turn in range(max(map(len, rounds))):
            going = [number for number in range(len(asked)) if turn < len(rounds[number])]
            divided = [next_round(results[number], rounds[number][turn:]) for number in going]
            drawn_from = [own_generators[n] for n, parts in zip(going, divided, strict=True) for _ in parts]
            edited = self._sample(divided, 1, drawn_from if generators else None, on_step)
            for number, (result,) in zip(going, edited, strict=True):
                results[number] = result
        return [results[first : first + num_samples] for first in range(0, len(results), num_samples)]

    def _sample(
        self,
        divided: list[list[Part]],
        num_samples: int,
        drawn_from: list[torch.Generator] | None,
        on_step: OnStep | None,
    ) -> list[list[Tensor]]:
        """divided: the parts of each request; drawn_from: a generator for each row, or those of the seeds."""
        parts = list(chain.from_iterable(divided))
        if drawn_from is None:
            drawn_from = seeded_generators([part.request.seed + n for part in parts for n in range(num_samples)])
        latent = sample(
            self.network,
            self._condition(parts),
            draw_noise(self.network, drawn_from),
            scheduler=self.scheduler,
            num_inference_steps=self.settings.num_inference_steps,
            guidance_scale=self.settings.guidance_scale,
            generators=drawn_from,
            on_step=on_step,
        )
        canvases = iter(self.network.decode(latent).cpu().split(num_samples))
        return [self._finish(parts, canvases, num_samples) for parts in divided]

    @torch.no_grad()
    def shape_maps(self, request: ReferenceRequest) -> list[Tensor]:
        """Shape maps that `keep_shape` follows, (1, h, w) for each region, in the shape network's units."""
        parts = self._parts(request)
        sources = torch.stack([self._prepare(part).source for part in parts]).to(self.network.device)
        maps = self.network.shape_map(sources, torch.ones(len(parts), dtype=torch.bool)).float().cpu()
        return [
            unletterbox(shape_map[None], *part.region.mask.shape[1:])[0]
            for shape_map, part in zip(maps, parts, strict=True)
        ]

    def _parts(self, request: ReferenceRequest) -> list[Part]:
        parts, separate = [], self.settings.regions != "together"
        for number, mask in enumerate(request.mask):
            if self.settings.crop_to_mask or separate:
                regions = crop_regions(mask, size=self.network.size, context=self.settings.context, separate=separate)
            else:
                regions = [whole_picture(mask)]
            parts += [Part(request, number, region) for region in regions]
        return parts

    def _keeps_shape(self, request: ReferenceRequest) -> bool:
        return request.keep_shape if self.keep_shape is None else self.keep_shape

    def _prepare(self, part: Part) -> Prepared:
        size, letterbox = self.network.size, self.geometry.letterbox
        source, _ = letterbox(part.of(part.request.source), size, fill=1.0)
        mask, _ = letterbox(part.of(part.request.mask), size, fill=0.0)
        reference, _ = letterbox(part.request.reference, size, fill=1.0)
        return Prepared(source, binarise(mask), reference)

    def _condition(self, parts: list[Part]) -> Conditions:
        device, prepared = self.network.device, [self._prepare(part) for part in parts]
        source, mask, reference = (
            torch.stack([getattr(frame, name) for frame in prepared]).to(device) for name in Prepared._fields
        )
        keep_shape = torch.tensor([self._keeps_shape(part.request) for part in parts], device=device)
        generators = seeded_generators([POSTERIOR_SEED] * len(parts))
        conditions = self.network.condition(source, mask, reference, keep_shape, generators)
        if any(part.request.reference is not parts[0].request.reference for part in parts):
            return conditions
        # One reference for all: its features are computed once.
        return conditions._replace(
            image_tokens=conditions.image_tokens[:1], reference_latent=conditions.reference_latent[:1]
        )

    def _finish(self, parts: list[Part], canvases: Iterator[Tensor], num_samples: int) -> list[Tensor]:
        """Paste the canvases of one request back: `num_samples` results (T, 3, H, W)."""
        results = parts[0].request.source.repeat(num_samples, 1, 1, 1, 1)
        for part in parts:
            self._paste(next(canvases), part, results[:, part.number])
        return list(results)

    def _paste(self, canvas: Tensor, part: Part, result: Tensor) -> None:
        """Put samples (N, 3, size, size) of a part into its place in results (N, 3, H, W)."""
        mask = part.region.mask[None]
        height, width = mask.shape[-2:]
        edited = self.geometry.unletterbox(canvas, height, width).to(result)
        if self.settings.match_colour:
            edited = match_colours(edited, part.of(part.request.source)[None], mask)
        place = result[..., part.region.rows, part.region.columns]
        place.copy_(self.geometry.paste_back(edited, place, mask))
