"""Imitative editing with a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.config import check_sampling
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.editors.mimicbrush.passes import FrameRegion, Pass, Row, next_pass, passes_of
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.reference_use import measure_reference_use
from mimicbrush.model.sampling import OnStep, draw_noise, sample
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.exported_folder import recommended_scheduler
from mimicbrush.model.weights.lora_loader import load_lora
from mimicbrush.pictures import geometry, released_geometry
from mimicbrush.pictures.crop_regions import crop_regions, describe_small_mask, whole_picture
from mimicbrush.pictures.geometry import binarise, match_colours, unletterbox
from mimicbrush.requests import Edited, Editor, OnProgress, Precision, ReferenceRequest

if TYPE_CHECKING:
    from mimicbrush.data.batch import InpaintingBatch
    from mimicbrush.statistics import Interval

GEOMETRIES = {"exact": geometry, "released": released_geometry}

POSTERIOR_SEED = 0
"""Seed for drawing from the autoencoder's posteriors: equal pictures are encoded equally, whatever the edit's seed, so
that samples of one edit share everything but their noise."""

ONLY_PASS = Pass(0, 1)
"""The pass of an edit whose regions are all repainted at once."""


class Canvas(NamedTuple):
    """A region on the network's square canvas."""

    source: Tensor
    mask: Tensor
    reference: Tensor


class Callbacks(NamedTuple):
    """Functions to call after each sampling step; None for those not given."""

    on_step: OnStep | None = None
    on_progress: OnProgress | None = None


class MimicBrushEditor(Editor):
    """Repaints the masked region so that it imitates the reference, and pastes it back at the source's own size.

    checkpoint: a training run, an exported folder or hub repository, a released mimicbrush.bin, or a network in
    memory. lora: a LoRA file that was trained on them; use_ema: use a run's averaged weights; keep_shape: if given, it
    replaces that of every request; device: `auto` uses a GPU if there is one, and leaves a network in memory where it
    is; precision: `auto` is float16 on a GPU, as in the release, and float32 elsewhere.
    scheduler: a scheduler of diffusers or its name; settings: fields of `EditSettings`; for the scheduler, steps and
    guidance, the default is what the weights recommend, or the LoRA file for few steps.
    Raises UserError if the weights are missing or do not fit, or if a setting is outside its limits.
    """

    request_class = ReferenceRequest

    def __init__(
        self,
        checkpoint: str | Path | MimicBrushNetwork,
        *,
        lora: str | Path | None = None,
        scheduler: str | SchedulerMixin | None = None,
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
        if lora is not None:
            load_lora(self.network, Path(lora))
        if scheduler is None:
            scheduler = recommended_scheduler(self.network.options)
        elif isinstance(scheduler, str):
            scheduler = make_scheduler(self.network.options.prediction_type, scheduler)
        # With an offset, the scheduler adds it to every timestep; more steps would begin after the last one.
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

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        return self.edit_batch([request], on_progress=on_progress)[0]

    def edit_batch(
        self, requests: Sequence[ReferenceRequest], *, on_progress: OnProgress | None = None
    ) -> list[Edited]:
        """Edit all requests together; every region of a request starts from the noise of the request's seed."""
        callbacks = Callbacks(on_progress=on_progress)
        if self.settings.regions == "in_turn":
            return list(map(Edited, self._edit_in_turn(requests, None, callbacks)))
        rows = [
            [Row(region, seeded_generators([request.seed])) for region in self._divide(request)] for request in requests
        ]
        return [Edited(frames) for (frames,) in self._repaint(rows, callbacks)]

    def draw_samples(
        self,
        request: ReferenceRequest,
        generators: list[torch.Generator],
        *,
        on_step: OnStep | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Edited]:
        """Edit one request with the noise of each generator, from which its regions draw one after the other.

        Whatever does not depend on the noise is computed once. on_step: as in `sample`, anew in each of `num_passes`.
        """
        callbacks = Callbacks(on_step, on_progress)
        if self.settings.regions == "in_turn":
            return list(map(Edited, self._edit_in_turn([request] * len(generators), generators, callbacks)))
        (samples,) = self._repaint([[Row(region, generators) for region in self._divide(request)]], callbacks)
        return list(map(Edited, samples))

    def num_passes(self, request: ReferenceRequest) -> int:
        """Count how often sampling begins anew: once, or once per region where these are edited in turn."""
        return len(passes_of(self._divide(request))) if self.settings.regions == "in_turn" else 1

    def hints(self, request: ReferenceRequest) -> list[str]:
        """Advice for a mask that hides most of the edit, one sentence per region."""
        cropped, size = self.settings.crop_to_mask or self.settings.regions != "together", self.network.size
        hints = [
            describe_small_mask(region.crop, size=size, cropped=cropped, feather=self.geometry.feather)
            for region in self._divide(request)
        ]
        return [hint for hint in hints if hint]

    @torch.no_grad()
    def shape_maps(self, request: ReferenceRequest) -> list[Tensor]:
        """Shape maps that `keep_shape` follows, (1, h, w) for each region, in the shape network's units."""
        regions = self._divide(request)
        sources = torch.stack([self._to_canvas(region).source for region in regions]).to(self.network.device)
        maps = self.network.shape_map(sources, torch.ones(len(regions), dtype=torch.bool)).float().cpu()
        return [
            unletterbox(shape_map[None], *region.crop.mask.shape[1:])[0]
            for shape_map, region in zip(maps, regions, strict=True)
        ]

    @property
    def canvas_size(self) -> int:
        return self.network.size

    def measure_reference_use(
        self, batches: Sequence[InpaintingBatch], *, seed: int, keep_shape: bool
    ) -> dict[str, Interval]:
        return measure_reference_use(self.network, batches, seed=seed, keep_shape=keep_shape)

    def _edit_in_turn(
        self,
        requests: Sequence[ReferenceRequest],
        generators: list[torch.Generator] | None,
        callbacks: Callbacks,
    ) -> list[Tensor]:
        """Edit one region of each frame after the other, where each sees the results of those before it.

        generators: one per request; None: each region starts from the noise of its request's seed.
        """
        passes = [passes_of(self._divide(request)) for request in requests]
        results, num_passes = [request.source for request in requests], max(map(len, passes))
        for index in range(num_passes):
            unfinished = [number for number in range(len(requests)) if index < len(passes[number])]
            rows = []
            for number in unfinished:
                regions = next_pass(results[number], passes[number][index:])
                own = [generators[number]] if generators else None
                rows.append([Row(region, own or seeded_generators([region.request.seed])) for region in regions])
            for number, (result,) in zip(
                unfinished, self._repaint(rows, callbacks, Pass(index, num_passes)), strict=True
            ):
                results[number] = result
        return results

    @torch.no_grad()
    def _repaint(self, rows: list[list[Row]], callbacks: Callbacks, sampling_pass: Pass = ONLY_PASS) -> list[Tensor]:
        """Repaint the rows of all requests in one batch; return samples (N, T, 3, H, W) for each request."""
        regions = [row.region for of_request in rows for row in of_request]
        generators = [generator for of_request in rows for row in of_request for generator in row.generators]
        latent = sample(
            self.network,
            self._condition(regions),
            draw_noise(self.network, generators),
            scheduler=self.scheduler,
            num_inference_steps=self.settings.num_inference_steps,
            guidance_scale=self.settings.guidance_scale,
            generators=generators,
            on_step=self._step_reporter(rows[0], callbacks, sampling_pass) if any(callbacks) else None,
        )
        canvases = iter(self.network.decode(latent).cpu().split(len(generators) // len(regions)))
        return [self._paste([(row.region, next(canvases)) for row in of_request]) for of_request in rows]

    def _step_reporter(self, rows: list[Row], callbacks: Callbacks, sampling_pass: Pass) -> OnStep:
        """Make a function that calls the callbacks after each step.

        rows: those of the request that previews show, which is the first in the batch.
        """

        def report(step: int, latent: Tensor, pred_original: Tensor) -> Tensor | None:
            if callbacks.on_progress is not None:
                share = sampling_pass.finished_share((step + 1) / len(self.scheduler.timesteps))
                callbacks.on_progress(share, lambda: self._preview(rows, pred_original))
            return None if callbacks.on_step is None else callbacks.on_step(step, latent, pred_original)

        return report

    @torch.no_grad()
    def _preview(self, rows: list[Row], latent: Tensor) -> Edited:
        """Decode and paste the first sample of the request whose rows are the first of `latent`."""
        num_samples = len(rows[0].generators)
        canvases = self.network.decode(latent[: len(rows) * num_samples : num_samples]).cpu()
        (frames,) = self._paste([(row.region, canvas[None]) for row, canvas in zip(rows, canvases, strict=True)])
        return Edited(frames)

    def _divide(self, request: ReferenceRequest) -> list[FrameRegion]:
        """Divide a request into the regions of its frames, frame after frame."""
        regions, separate = [], self.settings.regions != "together"
        for frame, mask in enumerate(request.mask):
            if self.settings.crop_to_mask or separate:
                crops = crop_regions(mask, size=self.network.size, context=self.settings.context, separate=separate)
            else:
                crops = [whole_picture(mask)]
            regions += [FrameRegion(request, frame, crop) for crop in crops]
        return regions

    def _keeps_shape(self, request: ReferenceRequest) -> bool:
        return request.keep_shape if self.keep_shape is None else self.keep_shape

    def _to_canvas(self, region: FrameRegion) -> Canvas:
        size, letterbox = self.network.size, self.geometry.letterbox
        source, _ = letterbox(region.view_of(region.request.source), size, fill=1.0)
        mask, _ = letterbox(region.view_of(region.request.mask), size, fill=0.0)
        reference, _ = letterbox(region.request.reference, size, fill=1.0)
        return Canvas(source, binarise(mask), reference)

    def _condition(self, regions: list[FrameRegion]) -> Conditions:
        device, prepared = self.network.device, [self._to_canvas(region) for region in regions]
        source, mask, reference = (
            torch.stack([getattr(frame, name) for frame in prepared]).to(device) for name in Canvas._fields
        )
        keep_shape = torch.tensor([self._keeps_shape(region.request) for region in regions], device=device)
        generators = seeded_generators([POSTERIOR_SEED] * len(regions))
        conditions = self.network.condition(source, mask, reference, keep_shape, generators)
        if any(region.request.reference is not regions[0].request.reference for region in regions):
            return conditions
        # One reference for all: its features are computed once.
        return conditions._replace(
            image_tokens=conditions.image_tokens[:1], reference_latent=conditions.reference_latent[:1]
        )

    def _paste(self, canvases: list[tuple[FrameRegion, Tensor]]) -> Tensor:
        """Put each region's canvases (N, 3, size, size) into its place in the source: samples (N, T, 3, H, W)."""
        first, drawn = canvases[0]
        samples = first.request.source.repeat(len(drawn), 1, 1, 1, 1)
        for region, canvas in canvases:
            mask = region.crop.mask[None]
            edited = self.geometry.unletterbox(canvas, *mask.shape[-2:]).to(samples)
            if self.settings.match_colour:
                edited = match_colours(edited, region.view_of(region.request.source)[None], mask)
            place = region.view_of(samples)
            place.copy_(self.geometry.paste_back(edited, place, mask))
        return samples
