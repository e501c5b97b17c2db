"""Make one edit: load an editor, send it the requests, and write its results."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import torch
from tqdm import tqdm

from mimicbrush.config import find_class, instantiate
from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.schedulers import like_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.edit.clip_results import write_clip_result
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.kinds.reference_edit import LoadConfig
from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.edit.record import save_with_settings, settings_record
from mimicbrush.editors.mimicbrush.settings import EditSettings
from mimicbrush.errors import UserError
from mimicbrush.model.weights.lora_file import read_lora
from mimicbrush.pictures.writing import write_frames
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.progress import StepCount
from mimicbrush.requests import (
    Edited,
    Editor,
    EditRequest,
    OnProgress,
    ReferenceRequest,
    ResumableEditor,
    check_answers,
    share_of,
)

Loaded = MimicBrushPipeline | Editor
"""The editor that a command loads once for all its edits; a pipeline takes its settings from each edit."""

DEFAULT_CANVAS = 512
"""Pixels a side of the cells of several references, for an editor that names no size of its canvas."""

log = logging.getLogger(__name__)


def load_pipeline(config: LoadConfig) -> MimicBrushPipeline:
    """Load the pipeline onto its device; raises UserError if weights or device are missing."""
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    if dtype == torch.float16 and device.type == "cpu":
        raise UserError("precision is float16, which is for GPUs, but the device is cpu; choose float32 or bfloat16")
    if config.lora is not None:
        read_lora(config.lora)  # fail early: loading weights takes minutes
    config.check_quick()
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
        pipe.scheduler = like_scheduler(pipe.scheduler, config.scheduler)
    return pipe


def load_editor(config: EditConfig) -> Loaded:
    """Load the editor that a config names, or else the pipeline; raises UserError if it does not answer such edits."""
    if config.editor_spec is None:
        return load_pipeline(config)
    return find_editor(*config.editor_spec, type(config))


def find_editor(class_path: str, init_args: dict, config_class: type[EditConfig]) -> Editor:
    """Build an editor that answers edits of the config's kind; raises UserError if it answers another kind."""
    kind = find_class(class_path, Editor).request_class  # checked before weights are loaded
    if not issubclass(config_class.request_class, kind):
        raise UserError(
            f"editor {class_path} answers a {kind.__name__}, and a {config_class.kind} edit is a"
            f" {config_class.request_class.__name__}; choose another editor or command"
        )
    return instantiate(class_path, init_args, Editor)


class PipelineEditor(Editor):
    """The pipeline as an editor; for several results of one request, it computes once what is independent of noise."""

    request_class = ReferenceRequest

    def __init__(self, pipe: MimicBrushPipeline, settings: EditSettings) -> None:
        self.pipe = pipe
        self.editor = pipe.editor(**vars(settings))

    @property
    def canvas_size(self) -> int:
        return self.editor.canvas_size

    def hints(self, request: ReferenceRequest) -> list[str]:
        return self.editor.hints(request)

    def edit(self, request: ReferenceRequest, *, on_progress: OnProgress | None = None) -> Edited:
        return self.edit_batch([request], on_progress=on_progress)[0]

    def edit_batch(
        self, requests: Sequence[ReferenceRequest], *, on_progress: OnProgress | None = None
    ) -> list[Edited]:
        first, seeds = requests[0], [request.seed for request in requests]
        if not all(_differ_in_seed_alone(first, request) for request in requests):
            return super().edit_batch(requests, on_progress=on_progress)
        results = self.editor.draw_samples(first, seeded_generators(seeds), on_progress=on_progress)
        self.pipe.maybe_free_model_hooks()
        return results


class StoppedEdit(Exception):  # noqa: N818 - no error: the result so far is kept
    """Raised by `on_progress` to stop an edit and keep its result as it is by then."""

    def __init__(self, edited: Edited, step: int) -> None:
        super().__init__()
        self.edited = edited
        self.step = step
        """Number of the last step."""


def edit(
    loaded: Loaded,
    config: EditConfig,
    inputs: Inputs | None = None,
    *,
    portable: bool = False,
    on_progress: OnProgress | None = None,
    on_hint: Callable[[str], object] = log.warning,
) -> list[EditConfig]:
    """Make one edit and write its results; raises UserError if its pictures are unfit.

    loaded: from `load_editor`; inputs: the pictures if they have been read; portable: as in `save_with_settings`, and
    without a folder from which the edit could resume; on_hint: receives advice of the editor, such as on a small mask.
    Returns a config for each result that was written: one that was stopped says so.
    """
    inputs = inputs or read_inputs(config, portable=portable)
    editor = loaded
    if isinstance(loaded, MimicBrushPipeline):
        loaded.set_quick(config.quick)
        if config.scheduler is not None:  # a given sampler replaces that of a LoRA file
            loaded.scheduler = like_scheduler(loaded.scheduler, config.scheduler)
        # The PNG records these numbers, so that a replay uses them even if the weights recommend others by then.
        config = config.resolved(loaded.network.options.recommended)
        editor = PipelineEditor(loaded, config.settings)
    editor = config.adapt(editor)
    request = config.request(inputs, getattr(editor, "canvas_size", DEFAULT_CANVAS))
    requests = [replace(request, seed=seed) for seed in config.seeds]
    for hint in editor.hints(request) if hasattr(editor, "hints") else ():
        on_hint(hint)
    if config.keeps_stopped:
        return [
            _edit_long(
                editor,
                request,
                single,
                inputs,
                portable=portable,
                on_progress=on_progress and share_of(on_progress, number, len(requests)),
            )
            for number, (request, single) in enumerate(zip(requests, config.singles, strict=True))
        ]
    edits = check_answers(editor, editor.edit_batch(requests, on_progress=on_progress), requests)
    for edited, request, single in zip(edits, requests, config.singles, strict=True):
        write_result(edited, request, single, inputs, portable=portable)
    return config.singles


def _edit_long(
    editor: Editor,
    request: EditRequest,
    config: EditConfig,
    inputs: Inputs,
    *,
    portable: bool,
    on_progress: OnProgress | None,
) -> EditConfig:
    """Make and write one result of an edit that may be stopped and resumed; return the config that describes it."""
    resumes = isinstance(editor, ResumableEditor) and not portable
    folder = {"run_folder": config.run_folder} if resumes else {}
    try:
        edited = editor.edit(request, on_progress=_stopping(config.stop_after, on_progress), **folder)
    except StoppedEdit as stopped:
        edited, config = stopped.edited, config.stopped_at(stopped.step)
    write_result(*check_answers(editor, [edited], [request]), request, config, inputs, portable=portable)
    if resumes:
        shutil.rmtree(config.run_folder)
    return config


def _stopping(last_step: int | None, on_progress: OnProgress | None) -> OnProgress | None:
    """A callback that calls another one, and stops an edit after a number of steps."""
    if last_step is None:
        return on_progress
    count = StepCount()

    def watch(fraction: float, preview: Callable[[], Edited]) -> None:
        if on_progress is not None:
            on_progress(fraction, preview)
        number = count.number(fraction)
        if number >= last_step and fraction < 1:
            raise StoppedEdit(preview(), number)

    return watch


def write_result(
    edited: Edited, request: EditRequest, config: EditConfig, inputs: Inputs, *, portable: bool = False
) -> None:
    """Write one result with its layers, as the config wants it; portable: as in `save_with_settings`."""
    edited = config.finish(edited, request)
    if not edited.frames.isfinite().all():
        raise UserError(f"the edit for {config.output} holds NaN or infinity; are the weights sound?")
    if config.is_clip:
        write_clip_result(
            edited,
            config.output,
            inputs.clip,
            source=config.source,
            record=settings_record(config, inputs, portable=portable),
            layer_format=config.layer_format,
            why_kept=config.why_kept,
        )
        tqdm.write(f"edited {len(edited.frames)} frames with seed {config.seed} -> {config.output}")
        return
    save_with_settings(inputs.restore(edited.frames[0].float()), config, inputs, portable=portable)
    tqdm.write(f"edited with seed {config.seed} -> {config.output}")
    for name, layer in edited.layers.items():
        path = config.beside_output(name)
        if (reason := config.why_kept(path)) is not None:
            tqdm.write(f"{path} {reason}")
        else:
            write_frames(layer, path)
            tqdm.write(f"layer {name} -> {path}")


def _differ_in_seed_alone(first: EditRequest, second: EditRequest) -> bool:
    names = (field.name for field in fields(first) if field.name != "seed")
    return all(getattr(first, name) is getattr(second, name) for name in names)
