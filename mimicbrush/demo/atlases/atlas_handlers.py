"""Reactions of the tab for clips with an atlas: the clip, the frame to paint on, the edit, and its clips."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from mimicbrush.atlas.config import AtlasConfig
from mimicbrush.atlas.made_atlases import MissingAtlasError, find_atlas
from mimicbrush.atlas.stored_atlas import AtlasFile, open_atlas
from mimicbrush.demo.clips.clip_handlers import ClipHandlers, ClipPanel
from mimicbrush.demo.clips.clip_uploads import check_clip
from mimicbrush.demo.edit_configs import copy_picture, painted_mask, prompt_lines
from mimicbrush.demo.examples.drawn_examples import ATLAS_CLIP
from mimicbrush.demo.number_fields import check_number_fields
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.result_panel import SAME, FinishedEdit, ResultPanel, as_sentence, status_text
from mimicbrush.demo.sampling_controls import reference_fields, used_settings
from mimicbrush.demo.strokes import PaintedPicture, crop_box
from mimicbrush.demo.uploads import accept, named
from mimicbrush.edit.clip_config import AtlasEditConfig
from mimicbrush.edit.clip_results import layer_path
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.kinds.layer_edit import LayerEditConfig
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS
from mimicbrush.errors import Faults, UserError
from mimicbrush.files import sha256
from mimicbrush.pictures.writing import write_image
from mimicbrush.video.whole_clip import WholeClip, as_tensor, read_whole_clip

REFERENCE, PROMPT = "reference", "prompt"
"""Guides of an edit."""
LAYER = "rgba"
"""Layer of a result that is drawn over the clip."""
LAYER_FORMAT = "webm"
MAX_FRAMES = next(each.default for each in fields(AtlasEditConfig) if each.name == "max_frames")
ATLAS_LIMITS = {each.name: each.default for each in fields(AtlasConfig) if each.name in ("num_frames", "short_side")}
"""Frames and pixels of a clip beyond which an atlas leaves some out, unless its command says otherwise."""
HOW_TO_MAKE = (
    "<p class='problem' role='alert'>There is no atlas of this clip yet.</p><p class='hint'>This command makes one,"
    " where ATLASES is the folder that the page was started with, and the box is around the object that moves: left,"
    " top, right and bottom in the first frame, in pixels. Then choose the clip again.</p><pre>{}</pre>"
)


class ChosenClip(NamedTuple):
    """Components of a chosen clip, or their new contents, in order."""

    clip: object
    note: object
    """Which atlas was found, or how one is made."""
    canvas: object
    """The column with frame number and painter, which is shown when there is a clip with an atlas."""
    frame: object
    source: object
    """The painter, which shows that frame."""


HIDDEN = gr.update(visible=False)
NO_CLIP = ChosenClip(None, "", HIDDEN, SAME, None)


class AtlasHandlers(ClipHandlers):
    """Handlers of the tab on which a clip is edited through its atlas."""

    def choose_clip(self, request: gr.Request, clip: str | None) -> tuple:
        """Check a new clip, find its atlas, and show its first frame; the running edit stops, results are cleared."""
        if clip is None:
            return *NO_CLIP, *self.without_results(request)
        try:
            found = self._read(clip)
            note, canvas, frame = self._about_atlas(Path(clip), found)
        except UserError as error:
            return *NO_CLIP, *ResultPanel(self._problem(error))
        source = self._show_frame(found, 1) if canvas["visible"] else None
        return *ChosenClip(clip, note, canvas, frame | {"value": 1}, source), *self.without_results(request)

    def show_atlas(self, clip: str | None) -> tuple:
        """Return note, canvas and frame number for a clip that was set with its frame, whose painting stays."""
        if clip is None:
            return SAME, SAME, SAME
        try:
            return self._about_atlas(Path(clip), self._read(clip))
        except UserError as error:
            return self._problem(error), HIDDEN, SAME

    def _problem(self, error: UserError) -> str:
        return status_text(as_sentence(str(error).replace(f"{self.config.atlases}/", "")), problem=True)

    def _find_atlas(self, clip: Path, read: WholeClip) -> AtlasFile:
        """The atlas of a clip; that of the example lies beside it."""
        if sha256(clip) == sha256(ATLAS_CLIP):
            return open_atlas(ATLAS_CLIP.parent)
        return find_atlas(self.config.atlases, as_tensor(read))

    def _about_atlas(self, clip: Path, read: WholeClip) -> tuple[str, dict, dict]:
        """Which atlas was found, or how one is made; whether there is something to paint on; the number of frames."""
        frame = gr.update(maximum=len(read.frames))
        try:
            atlas = self._find_atlas(clip, read)
        except MissingAtlasError:
            return HOW_TO_MAKE.format(escape(command_for(read, clip.name))), HIDDEN, frame
        closeness = f"It reproduces the clip with a PSNR of {atlas.psnr:.1f} dB; higher is closer."
        note = f'<p class="hint">Its atlas was found: {escape(atlas.path.parent.name)}. {closeness}</p>'
        return note, gr.update(visible=True), frame

    def show_frame(self, clip: str | None, number: float) -> PainterData | None:
        """Show another frame in the painter, with nothing painted on it; raises gr.Error if the clip is gone."""
        try:
            return clip and self._show_frame(self._read(clip), number)
        except UserError as error:
            raise gr.Error(as_sentence(str(error)), print_exception=False) from None

    def check_reference(self, reference: PainterData | None) -> PainterData:
        """Check a new reference."""
        return self.check_upload(reference, is_reference=True)

    def _show_frame(self, clip: WholeClip, number: float) -> PainterData:
        folder, index = self.folders.new_folder(), min(max(1, int(number)), len(clip.frames)) - 1
        path = folder / f"frame-{index + 1}.png"
        write_image(as_tensor(clip)[index], path)
        return to_browser(accept(PaintedPicture(picture=path), self.config.limits, folder))

    def _read(self, clip: str) -> WholeClip:
        with named(Path(clip)):
            check_clip(Path(clip), self.config.limits)
            return read_whole_clip(Path(clip), max_frames=MAX_FRAMES)

    def make_config(
        self, source: PainterData | None, clip: str | None, guide: str = REFERENCE, **given: object
    ) -> EditConfig:
        """source: the painted frame; clip: path of an upload; given: the values of the other controls, by name."""
        faults, folder = Faults(), self.folders.new_folder()
        seed = {"seed": given.pop("seed")}
        faults.check(clip is not None, "no clip yet; choose one")
        make = self._layer_fields if guide == PROMPT else self._reference_fields
        with faults.collect():
            config_class, own = make(folder, from_browser(source), **given)
        with faults.collect():
            seed = check_number_fields(seed, self.config.limits)
        faults.refuse()
        atlas = self._find_atlas(Path(clip), self._read(clip))
        copied = Path(shutil.copyfile(clip, folder / f"source{Path(clip).suffix.lower()}"))
        files = {"source": copied, "atlas": atlas.path.parent, "output": folder / "result.mp4"}
        return config_class(**own, **files, **seed, layer_format=LAYER_FORMAT)

    def _reference_fields(
        self,
        folder: Path,
        frame: PaintedPicture | None,
        *,
        number: float,
        reference: PainterData | None,
        prompts: list[str],
        **settings: object,
    ) -> tuple[type[EditConfig], dict[str, object]]:
        """The class of the config and its fields, without clip and atlas; settings: fields of the same names."""
        faults, shown = Faults(), from_browser(reference)
        faults.check(shown is not None, "no reference yet; choose a picture that shows what should be there instead")
        mask = frame and painted_mask(frame, self.config)
        faults.check(mask is not None, "nothing is painted yet; paint over what should change in one frame")
        settings.pop("atlas_layer")
        with faults.collect():
            settings = check_number_fields(used_settings(settings), self.config.limits)
        faults.refuse()
        write_image(mask, folder / "mask.png")
        box = crop_box(shown.strokes, shown.size) if shown.size else None
        chosen = {
            "mask": folder / "mask.png",
            "reference": copy_picture(shown, folder, "reference"),
            "reference_box": box,
        }
        return ReferenceEditConfig, reference_fields(self.config, settings) | chosen | {"edited_frame": int(number)}

    def _layer_fields(
        self, folder: Path, frame: PaintedPicture | None, *, prompts: list[str], atlas_layer: str, **_: object
    ) -> tuple[type[EditConfig], dict[str, object]]:
        """As `_reference_fields`, for a layer from prompts; neither frame nor reference matter."""
        prompt, source_prompt = map(prompt_lines, prompts)
        if prompt is None:
            raise UserError("no prompt yet; describe the edited clip")
        config = self.config
        loaded = {name: getattr(config, name) for name in ("device", "precision")}
        own = {"clip": config.layer_clip, "preset": config.layer_preset, **vars(CLIP_PRESETS[config.layer_preset])}
        wanted = {"prompt": prompt, "source_prompt": source_prompt, "atlas_layer": atlas_layer}
        return LayerEditConfig, own | loaded | wanted

    def show_guide(self, guide: str) -> tuple:
        """Show the controls of what guides the edit: those of a reference, and those of a prompt."""
        by_reference = gr.update(visible=guide == REFERENCE)
        return by_reference, by_reference, gr.update(visible=guide == PROMPT)

    def show_all(self, results: FinishedEdit | None) -> tuple:
        """The clips of a new result, and its layer to download."""
        shown: ClipPanel = self.show_clips(results)
        if results is None:
            return *shown, SAME
        layer = layer_path(results.config.output, LAYER, has_alpha=True, layer_format=LAYER_FORMAT)
        return *shown, gr.update(value=str(layer), visible=layer.is_file())


def command_for(clip: WholeClip, name: str) -> str:
    """The command that makes the atlas of an uploaded clip, of all its frames in their full size."""
    height, width = clip.frames.shape[1:3]
    found = {"num_frames": len(clip.frames), "short_side": min(height, width)}
    beyond = "".join(f" --{name} {value}" for name, value in found.items() if value > ATLAS_LIMITS[name])
    box = f"[{width // 4}, {height // 4}, {3 * width // 4}, {3 * height // 4}]"
    file, output = shlex.quote(name), shlex.quote(f"ATLASES/{Path(name).stem}")  # a name may hold spaces and more
    return f"python -m mimicbrush.atlas --clip {file} --box '{box}'{beyond} --output {output}"
