"""Edits from text prompts as a layer over the picture (Text2LIVE): their options."""

# Annotations are not postponed here, as in an editor's settings.py: jsonargparse would not find their names.
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from mimicbrush.edit.clip_config import AtlasEditConfig
from mimicbrush.edit.config import PROGRAM, EditConfig
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS, AtlasLayerSettings, ClipLayerSettings
from mimicbrush.editors.text2live.settings import PRESETS, Text2LiveSettings
from mimicbrush.errors import Faults, quoted
from mimicbrush.requests import LayerRequest, MaskUse, Precision

if TYPE_CHECKING:
    from mimicbrush.edit.loaded_inputs import Inputs
    from mimicbrush.requests import Edited

TEXT2LIVE = "mimicbrush.editors.text2live.Text2LiveEditor"
TEXT2LIVE_CLIPS = "mimicbrush.editors.text2live.Text2LiveClipEditor"
RELEASE = "release"
"""Preset whose settings are the defaults."""
Prompts = list[str] | str
"""One prompt or several."""


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """The CLIP that guides the layer, and where it runs."""

    clip: str = "openai/clip-vit-base-patch32"
    """The CLIP that judges the edit, in transformers' layout: a folder, a repository of the hub, or asset:clip, a small
    one that comes with this package and knows the words of the small world."""
    device: str = "auto"
    """Device to compute on, such as cpu or cuda:1; auto: a GPU if there is one, otherwise the CPU."""
    precision: Precision = "auto"
    """Precision of CLIP; auto: float16 on a GPU, as in the release, and float32 elsewhere."""
    preset: str = RELEASE
    """Settings to begin with, which other options change: release, as published, or small, for small machines."""


@dataclass(frozen=True, kw_only=True)
class LayerEditConfig(ClipConfig, AtlasEditConfig, AtlasLayerSettings, EditConfig, Text2LiveSettings):
    """Draw a layer with its own opacity over a picture, or over a clip through its atlas, from text prompts."""

    prompt: Prompts | None = None
    """Describes the edited picture. Several, as '[a golden ball, a shiny ball]', are used in turn; this and each of the
    next four may be several."""
    source_prompt: Prompts | None = None
    """Describes the picture as it is."""
    screen: Prompts | None = None
    """Describes the layer alone, as if it lay over a green screen; null: prompt."""
    region: Prompts | None = None
    """Names the thing to edit; CLIP then finds the region in which the layer begins."""
    negative_region: Prompts | None = None
    """Names things that the layer should not cover; only with region or mask."""
    mask: Path | None = None
    """Mask of the source's size, white where the layer belongs."""
    mask_use: MaskUse = "guide"
    """Purpose of the mask. guide: the opacity starts from it and may leave it; limit: nothing is drawn outside it."""
    opacity: float = 1.0
    """Opacity of the whole layer in the result, from 0 to 1; it does not change the optimisation."""
    stop_after: int | None = None
    """Steps (not seconds) after which to stop with the result as it is by then; null: all of num_steps."""

    kind = "layer"
    request_class = LayerRequest
    needed = ("source", "prompt", "output")
    optional = ("seed", "source_prompt", "screen", "region", "negative_region", "mask", "mask_use")
    examples = (
        f'{PROGRAM} layer --source s.png --prompt "a yellow ball" --output e.png --clip asset:clip --preset small',
        f'{PROGRAM} layer --source s.png --mask m.png --prompt "a golden ball" --source_prompt "a ball" --output e.png',
        f"{PROGRAM} layer --batch edits.csv --clip asset:clip --preset small",
        f'{PROGRAM} layer --source clip.mp4 --atlas runs/atlas --prompt "a golden ball" --output e.mp4',
    )
    ordinary = ("clip", "preset", "source", "prompt", "source_prompt", "screen", "region", "mask", "output", "seed")
    weights_option = "clip"
    keeps_stopped = True

    def __post_init__(self) -> None:
        faults = Faults()
        if self.editor is not None and (given := self.given(ClipConfig, Text2LiveSettings)):
            faults.add(f"{', '.join(given)}: not for {self.editor}; give its own arguments as init_args")
        faults.check(
            self.editor is not None or not self.init_args,
            "init_args are an editor's arguments; give its class path as editor, too",
        )
        faults.check(self.preset in PRESETS, f"preset is {self.preset}, expected one of {', '.join(PRESETS)}")
        for base in (EditConfig, Text2LiveSettings, AtlasLayerSettings):
            with faults.collect():
                base.__post_init__(self)
        self._check_clip(faults)
        self._check_prompts(faults)
        uses = get_args(MaskUse)
        faults.check(self.mask_use in uses, f"mask_use is {self.mask_use}, expected {' or '.join(uses)}")
        faults.check(
            self.batch is not None or self.mask_use != "limit" or self.mask is not None,
            "mask_use limit has no effect without mask; give the mask",
        )
        faults.check(0 <= self.opacity <= 1, f"opacity is {self.opacity:g}, expected 0 to 1")
        faults.check(
            self.stop_after is None or self.stop_after >= 1, f"stop_after is {self.stop_after}, expected at least 1"
        )
        faults.check(
            self.editor is not None or self.stop_after is None or self.stop_after <= self.num_steps,
            f"stop_after is {self.stop_after}, and an edit ends after num_steps, {self.num_steps}; lower it or leave it"
            " out",
        )
        faults.refuse()

    def _check_clip(self, faults: Faults) -> None:
        self.check_clip_options(faults)
        if self.atlas is None:
            given = [each.name for each in fields(AtlasLayerSettings) if getattr(self, each.name) != each.default]
            faults.check(not given, f"{', '.join(given)}: only for clips; give the clip's atlas")
            return
        faults.check(self.mask is None, "mask is for pictures; a clip's atlas says what is foreground, leave it out")
        faults.check(
            self.editor is None, "atlas is for the default editor; give an editor of your own its atlas as init_args"
        )

    def _check_prompts(self, faults: Faults) -> None:
        for name in ("prompt", "source_prompt", "screen", "region", "negative_region"):
            given = getattr(self, name)
            texts = _listed(given)
            is_text = all(isinstance(text, str) for text in texts)
            faults.check(is_text, f"{name} is {quoted(given)}, expected one text or a list of texts; quote numbers")
            faults.check(given != [], f"{name} is an empty list; write a text, or leave it out")
            is_empty = is_text and not all(map(str.strip, texts))
            faults.check(not is_empty, f"{name} has an empty text; write one, or leave it out")
        faults.check(
            self.batch is not None or not self.negative_region or bool(self.region) or self.mask is not None,
            "negative_region has no effect without region or mask; give one of them",
        )

    @property
    def preset_values(self) -> dict[str, object]:
        if self.is_clip:
            return vars(CLIP_PRESETS[self.preset])
        return {} if self.preset == RELEASE else vars(PRESETS[self.preset])

    @property
    def is_clip(self) -> bool:
        return self.atlas is not None

    @property
    def editor_spec(self) -> tuple[str, dict]:
        if self.editor is not None:
            return self.editor, self.init_args
        loaded = {"clip": self.clip, "device": self.device, "precision": self.precision}
        if self.is_clip:
            settings = {each.name: getattr(self, each.name) for each in fields(ClipLayerSettings)}
            return TEXT2LIVE_CLIPS, loaded | {"atlas": str(self.atlas), "settings": settings}
        return TEXT2LIVE, loaded | {"settings": asdict(self.settings)}

    def check_weights(self) -> None:
        from mimicbrush.hub.locations import require_local_network

        self.check_atlas()
        if self.editor is None:
            require_local_network(self.clip, "clip")

    def request(self, inputs: "Inputs", canvas_size: int) -> LayerRequest:
        return LayerRequest(
            source=inputs.frames,
            mask=inputs.masks,
            mask_use=self.mask_use,
            prompts=_listed(self.prompt),
            source_prompts=_listed(self.source_prompt),
            screen_prompts=_listed(self.screen),
            region_prompts=_listed(self.region),
            negative_region_prompts=_listed(self.negative_region),
            seed=self.seed,
        )

    def finish(self, edited: "Edited", request: LayerRequest) -> "Edited":
        from mimicbrush.edit.layer_opacity import fade

        return edited if self.opacity == 1 else fade(edited, request.source, self.opacity)

    def stopped_at(self, step: int) -> Self:
        return replace(self, stop_after=step)

    @property
    def announcement(self) -> str:
        return f"loading {self.clip}" if self.editor is None else super().announcement

    @property
    def pictures(self) -> dict[str, list[Path | None]]:
        return super().pictures | {"mask": [self.mask]}

    @property
    def files(self) -> dict[str, list[Path | None]]:
        return self.pictures | ({"atlas": [self.atlas_file]} if self.is_clip else {})


def _listed(prompts: Prompts | None) -> tuple[str, ...]:
    return () if prompts is None else (prompts,) if isinstance(prompts, str) else tuple(prompts)
