"""One edit: weights, pictures in, results out."""

from __future__ import annotations

from dataclasses import replace

from mimicbrush.edit.config import EditConfig, LoadConfig
from mimicbrush.edit.contact_sheet import draw_sheet
from mimicbrush.edit.settings import save_with_settings
from mimicbrush.editors.mimicbrush import choose_device, choose_dtype
from mimicbrush.files import whole
from mimicbrush.imaging import open_image, to_pil
from mimicbrush.model.sampling import make_scheduler, seeded_generators
from mimicbrush.pictures import colour_profile
from mimicbrush.pipeline import Callback, MimicBrushPipeline
from mimicbrush.sixteen_bits import read_sixteen_bits


def load_pipeline(config: LoadConfig) -> MimicBrushPipeline:
    """The weights, on their device; raises UserError where there are none, or no such device."""
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    pipe = MimicBrushPipeline.from_pretrained(config.weights, use_ema=config.use_ema, torch_dtype=dtype)
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
    *,
    portable: bool = False,
    callback_on_step_end: Callback | None = None,
) -> None:
    """One edit, read, made and written; raises UserError where its pictures do not allow it.

    portable: as in `save_with_settings`; callback_on_step_end: as in the pipeline.
    """
    source, references = open_image(config.source), [open_image(path) for path in config.references]
    deep = read_sixteen_bits(config.source)
    masks = config.reference_mask if isinstance(config.reference_mask, list) else [config.reference_mask]
    results = pipe(
        image=source if deep is None else deep,
        mask_image=open_image(config.mask),
        reference_image=references,
        reference_box=config.reference_box,
        reference_mask_image=config.reference_mask and [path and open_image(path) for path in masks],
        keep_shape=config.keep_shape,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        num_images_per_prompt=config.num_images,
        generator=seeded_generators(config.seeds),
        crop_to_mask=config.crop_to_mask,
        regions=config.regions,
        context=config.context,
        match_colour=config.match_colour,
        geometry=config.geometry,
        output_type="pil" if deep is None else "pt",
        callback_on_step_end=callback_on_step_end,
    ).images
    profile = colour_profile(source)
    for edited, seed, path in zip(results, config.seeds, config.outputs, strict=True):
        single = replace(config, seed=seed, num_images=1, output=path, grid=False)
        save_with_settings(edited, path, single, portable=portable, icc_profile=profile)
        print(f"edited with seed {seed} -> {path}")
    if config.grid:
        titled = [("source", source), *(("reference", reference) for reference in references)]
        shown = results if deep is None else map(to_pil, results)
        titled += [(f"seed {seed}", edited) for seed, edited in zip(config.seeds, shown, strict=True)]
        with whole(config.sheet) as partial:
            draw_sheet(titled).save(partial)
