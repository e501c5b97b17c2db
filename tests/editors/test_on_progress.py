"""Every editor reports its progress, shows previews only to those who look, and stops where the callback raises."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mimicbrush.editors import baselines
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.requests import Editor, ReferenceRequest, TextRequest

NUM_STEPS = 2
BASELINES = {
    "identity": baselines.Identity,
    "mean colour": baselines.MeanColour,
    "reference paste": baselines.ReferencePaste,
    "colour transfer": baselines.ColourTransfer,
    "classical inpainting": baselines.ClassicalInpainting,
}
SAMPLING = ["together", "in_turn", "stable diffusion"]


@pytest.fixture
def editor(request, network) -> Editor:
    if request.param in BASELINES:
        return BASELINES[request.param]()
    if request.param == "stable diffusion":
        folder = request.getfixturevalue("inpainting_folder")
        return StableDiffusionInpainting(str(folder), num_inference_steps=NUM_STEPS, device="cpu")
    return MimicBrushEditor(network, num_inference_steps=NUM_STEPS, regions=request.param)


def requests_for(editor: Editor) -> list[ReferenceRequest | TextRequest]:
    """A clip of two frames whose first mask has two parts, and a still."""
    mask = torch.zeros(2, 1, 90, 70)
    mask[:, :, 5:20, 5:20] = mask[0, :, 60:75, 40:60] = 1
    source, reference = torch.rand(2, 3, 90, 70), torch.rand(3, 40, 40)
    if editor.request_class is TextRequest:
        return [TextRequest(source=source[:n], mask=mask[:n], prompt="red hat", seed=n) for n in (2, 1)]
    return [ReferenceRequest(source=source[:n], mask=mask[:n], reference=reference, seed=n) for n in (2, 1)]


@pytest.mark.parametrize("editor", [*BASELINES, *SAMPLING], indirect=True)
def test_progress_rises_to_the_end_and_previews_have_the_requests_frames(editor):
    requests, seen = requests_for(editor), []
    watched = editor.edit_batch(requests, on_progress=lambda fraction, preview: seen.append((fraction, preview())))
    fractions = [fraction for fraction, _ in seen]
    assert fractions[0] > 0 and fractions[-1] == 1 and all(low < high for low, high in pairwise(fractions))
    for _, preview in seen:
        assert len(preview.frames) in (1, 2) and preview.frames.isfinite().all()
    for edited, alone in zip(watched, editor.edit_batch(requests), strict=True):
        assert torch.equal(edited.frames, alone.frames)


@pytest.mark.parametrize("editor", SAMPLING, indirect=True)
def test_the_last_preview_is_the_result(editor):
    (request, _), seen = requests_for(editor), []
    (edited,) = editor.edit_batch([request], on_progress=lambda fraction, preview: seen.append(preview().frames))
    # The schedule of Stable Diffusion does not end at noise 0: the prediction is not quite the result.
    torch.testing.assert_close(seen[-1], edited.frames, rtol=0, atol=0.01)
    assert not torch.equal(seen[0], edited.frames)


@pytest.mark.parametrize("editor", SAMPLING, indirect=True)
def test_raising_in_the_midst_of_sampling_stops_it(editor, monkeypatch):
    seen = []

    def stop(fraction: float, preview: object) -> None:
        seen.append(fraction)
        raise KeyboardInterrupt

    decoder = editor.pipeline.vae if hasattr(editor, "pipeline") else editor.network
    monkeypatch.setattr(decoder, "decode", lambda *_: pytest.fail("nothing is decoded unless it is looked at"))
    with pytest.raises(KeyboardInterrupt):
        editor.edit_batch(requests_for(editor), on_progress=stop)
    assert len(seen) == 1 and seen[0] <= 0.5
