"""One edit: weights, pictures in, results out."""

from __future__ import annotations

import torch
from tqdm import tqdm

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.edit.config import EditConfig, LoadConfig
from mimicbrush.edit.inputs import Inputs, read_inputs
from mimicbrush.edit.record import save_with_settings
from mimicbrush.errors import UserError
from mimicbrush.model.sampling import make_scheduler, seeded_generators
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.pipeline import Callback, MimicBrushPipeline


def load_pipeline(config: LoadConfig) -> MimicBrushPipeline:
    """The weights, on their device; raises UserError where there are none, or no such device."""
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    if dtype == torch.float16 and device.type == "cpu":
        raise UserError("precision is float16, which is for GPUs, and this runs on the CPU; choose float32 or bfloat16")
    if config.lora is not None:
        read_lora(config.lora)  # before minutes go into the weights
    pipe = MimicBrushPipeline.from_pretrained(config.weights, use_ema=config.use_ema, dtype=dtype)
    if config.lora is not None:
        pipe.load_lora_weights(config.lora, "lora")
        pipe.set_adapters("lora", config.lora_scale)
    if config.offload == "none":
        pipe.to(device)
    elif config.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.enable_sequential_cpu_offload(device=device)
    if config.vae_tiling:
        pipe.vae.enable_tiling()
    if config.scheduler is not None:
        pipe.scheduler = make_scheduler(pipe.scheduler.config.prediction_type, config.scheduler)
    pipe.set_progress_bar_config(desc="sampling", leave=False, disable=None)
    return pipe


def edit(
    pipe: MimicBrushPipeline,
    config: EditConfig,
    inputs: Inputs | None = None,
    *,
    portable: bool = False,
    callback_on_step_end: Callback | None = None,
) -> None:
    """Make one edit and write it; raises UserError where its pictures do not allow it.

    inputs: its pictures, where they have been read; portable: as in `save_with_settings`; callback_on_step_end:
    as in the pipeline.
    """
    inputs = inputs or read_inputs(config, portable=portable)
    # The record in the PNG holds the numbers themselves: they count when it is replayed.
    config = config.resolved(pipe.network.options.recommended)
    results = pipe(
        image=inputs.source,
        mask_image=inputs.mask,
        reference_image=inputs.references,
        keep_shape=config.keep_shape,
        num_images_per_prompt=config.num_images,
        generator=seeded_generators(config.seeds),
        output_type="pt",
        callback_on_step_end=callback_on_step_end,
        **vars(config.settings),
    ).images
    for edited, single in zip(results, config.singles, strict=True):
        save_with_settings(edited, single, inputs, portable=portable)
        tqdm.write(f"edited with seed {single.seed} -> {single.output}")
