from __future__ import annotations

import pytest
import torch

from mimicbrush.editors.baselines import MeanColour, PerFrame, ReferencePaste
from mimicbrush.errors import UserError
from mimicbrush.requests import Edited, Editor, EditRequest, LayerRequest, ReferenceRequest, TextRequest, VideoRequest

BASELINES = "mimicbrush.editors.baselines"


class Remembers(Editor):
    """Answers with the source and remembers its requests."""

    request_class = TextRequest

    def __init__(self) -> None:
        self.seen: list[EditRequest] = []

    def edit(self, request: TextRequest, *, on_progress=None) -> Edited:
        self.seen.append(request)
        layers = {"mask": request.source[:, :1]}
        if on_progress:
            on_progress(1.0, lambda: Edited(request.source))
        return Edited(request.source, layers)


class Layers(Remembers):
    """The same for a layer."""

    request_class = LayerRequest


def make_request(**changes) -> VideoRequest:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(3, 1, 20, 24)
    for number in range(3):
        mask[number, :, 4:12, 2 + 4 * number : 12 + 4 * number] = 1
    given = {
        "source": torch.rand(3, 3, 20, 24, generator=generator),
        "source_prompt": "a red ball",
        "target_prompt": "a blue star",
        "target_image": torch.rand(3, 9, 7, generator=generator),
        "fps": 8.0,
        "mask": mask,
    }
    return VideoRequest(**(given | changes))


@pytest.mark.parametrize("inner", [MeanColour, ReferencePaste])
def test_each_frame_is_what_the_editor_makes_of_it_alone(inner):
    request = make_request()
    edited = PerFrame({"class_path": f"{BASELINES}.{inner.__name__}"}).edit(request).frames
    for number in range(3):
        alone = ReferenceRequest(
            source=request.source[[number]], mask=request.mask[[number]], reference=request.target_image
        )
        assert torch.equal(edited[[number]], inner().edit(alone).frames)


@pytest.mark.parametrize(
    ("name", "field", "said"), [("Remembers", "prompt", "a blue star"), ("Layers", "prompts", ("a blue star",))]
)
def test_frames_receive_the_targets_prompt_and_their_layers_are_joined(name, field, said):
    editor, fractions = PerFrame({"class_path": f"{__name__}.{name}"}), []
    request = make_request(seed=5, id="000")
    edited = editor.edit(request, on_progress=lambda fraction, preview: fractions.append(fraction))
    assert [getattr(each, field) for each in editor.editor.seen] == [said] * 3
    assert {getattr(each, "source_prompts", ("a red ball",)) for each in editor.editor.seen} == {("a red ball",)}
    assert {(each.seed, each.id) for each in editor.editor.seen} == {(5, "000")}
    assert torch.equal(edited.layers["mask"], request.source[:, :1])
    assert fractions == pytest.approx([1 / 3, 2 / 3, 1])


def test_mistakes_are_named():
    with pytest.raises(UserError, match="frame by frame needs the clip's mask"):
        PerFrame({"class_path": f"{BASELINES}.MeanColour"}).edit(make_request(mask=None))
    with pytest.raises(UserError, match="PlainWarp answers a MotionRequest, which a frame of a clip cannot fill"):
        PerFrame({"class_path": f"{BASELINES}.PlainWarp"})
    with pytest.raises(UserError, match=r"editor is \{'checkpoint': 'x'\}, expected class_path"):
        PerFrame({"checkpoint": "x"})
