from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.requests import (
    Edited,
    Editor,
    EditRequest,
    LayerRequest,
    MaskedRequest,
    MotionRequest,
    ReferenceRequest,
    TextRequest,
    VideoRequest,
    check_answers,
)

NAN, INF = float("nan"), float("inf")


def a_mask(frames: int = 1) -> torch.Tensor:
    mask = torch.zeros(frames, 1, 6, 8)
    mask[..., 2:4, 2:4] = 1
    return mask


SOURCE = torch.rand(1, 3, 6, 8)
SOUND = {
    EditRequest: {"source": SOURCE},
    MaskedRequest: {"source": SOURCE, "mask": a_mask()},
    ReferenceRequest: {"source": SOURCE, "mask": a_mask(), "reference": torch.rand(3, 5, 5)},
    TextRequest: {"source": SOURCE, "mask": a_mask(), "prompt": "a red hat"},
    LayerRequest: {"source": SOURCE, "prompts": ("a golden ball",)},
    MotionRequest: {"source": SOURCE, "flow": torch.full((1, 2, 6, 8), 40.0)},
    VideoRequest: {
        "source": torch.rand(3, 3, 6, 8),
        "source_prompt": "a red car",
        "target_prompt": "a blue bus",
        "target_image": torch.rand(3, 9, 4),
        "fps": 24.0,
    },
}
OPTIONAL_MASKS = [LayerRequest, MotionRequest, VideoRequest]


@pytest.mark.parametrize("kind", SOUND)
def test_sound_requests_have_defaults(kind):
    request = kind(**SOUND[kind])
    assert (request.seed, request.id) == (0, None)
    assert kind(**SOUND[kind], seed=2**63 - 1, id="000").id == "000"


@pytest.mark.parametrize("kind", OPTIONAL_MASKS)
def test_a_mask_is_optional_where_the_editor_can_propose_one(kind):
    assert kind(**SOUND[kind]).mask is None
    frames = len(SOUND[kind]["source"])
    assert kind(**SOUND[kind], mask=a_mask(frames)).mask.shape == (frames, 1, 6, 8)


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"source": torch.rand(3, 6, 8)}, r"source is \(3, 6, 8\), expected \(T, 3, H, W\)"),
        ({"source": torch.rand(1, 1, 6, 8)}, r"source is .* expected \(T, 3, H, W\)"),
        ({"source": torch.rand(0, 3, 6, 8)}, "source is .* holds nothing"),
        ({"source": torch.rand(1, 3, 1, 8)}, "source is .* at least 2 pixels"),
        ({"source": torch.full((1, 3, 6, 8), INF)}, "source holds NaN or infinity"),
        ({"source": torch.rand(1, 3, 6, 8) * 255}, r"source has values .* expected \[0, 1\]"),
        ({"source": torch.zeros(1, 3, 6, 8, dtype=torch.uint8)}, "source is of torch.uint8"),
        ({"source": [[0.5]]}, "source is a list, expected a tensor"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"id": ""}, "id is ''"),
    ],
)
def test_what_every_request_refuses(kind, changes, named):
    with pytest.raises(UserError, match=named):
        kind(**SOUND[kind] | changes)


@pytest.mark.parametrize("kind", [MaskedRequest, ReferenceRequest, TextRequest, *OPTIONAL_MASKS])
@pytest.mark.parametrize(
    ("mask", "named"),
    [
        (torch.ones(1, 1, 8, 6), r"mask is \(1, 1, 8, 6\), expected .* export both at one size"),
        (torch.ones(2, 1, 6, 8), "export both at one size"),
        (torch.zeros(1, 1, 6, 8), "the mask is empty"),
        (torch.full((1, 1, 6, 8), NAN), "mask holds NaN"),
        (torch.full((1, 1, 6, 8), 255.0), "mask has values from 255 to 255"),
    ],
)
def test_masks_that_no_editor_could_use_are_refused(kind, mask, named):
    frames = len(SOUND[kind]["source"])
    mask = mask.expand(frames, -1, -1, -1) if len(mask) == 1 else mask
    named = named.replace(r"\(1, 1, 8, 6\)", rf"\({frames}, 1, 8, 6\)")
    with pytest.raises(UserError, match=named):
        kind(**SOUND[kind] | {"mask": mask})


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        (ReferenceRequest, {"reference": torch.rand(1, 3, 5, 5)}, r"reference is .* expected \(3, h, w\)"),
        (ReferenceRequest, {"reference": torch.full((3, 5, 5), NAN)}, "reference holds NaN"),
        (ReferenceRequest, {"reference": torch.full((3, 5, 5), 2.0)}, "reference has values from 2 to 2"),
        (TextRequest, {"prompt": None}, "prompt is None"),
        (LayerRequest, {"prompts": ()}, "prompts is empty"),
        (LayerRequest, {"prompts": "a golden ball"}, "prompts is 'a golden ball', expected a tuple"),
        (LayerRequest, {"screen_prompts": ("  ",)}, "screen_prompts holds an empty prompt"),
        (LayerRequest, {"source_prompts": (3,)}, "source_prompts is 3"),
        (LayerRequest, {"region_prompts": ["ball"]}, "region_prompts is .* expected a tuple"),
        (LayerRequest, {"mask_use": "hint"}, "mask_use is 'hint', expected one of guide, limit"),
        (MotionRequest, {"source": torch.rand(2, 3, 6, 8)}, "source has 2 frames, expected 1"),
        (
            MotionRequest,
            {"flow": torch.ones(1, 6, 8, 2)},
            r"flow is \(1, 6, 8, 2\), expected \(1, 2, 6, 8\), in pixels",
        ),
        (MotionRequest, {"flow": torch.full((1, 2, 6, 8), NAN)}, "flow holds NaN"),
        (MotionRequest, {"flow": torch.zeros(1, 2, 6, 8)}, "flow is zero everywhere"),
        (
            MotionRequest,
            {"flow": torch.ones(1, 2, 6, 8).long()},
            "flow is of torch.int64, expected floating point; give",
        ),
        (
            MotionRequest,
            {"flow": torch.ones(1, 2, 6, 8).double()},
            r"flow is of torch.float64 and source of torch.float32, expected torch.float32 for both.*\.float\(\)",
        ),
        (
            MotionRequest,
            {"flow": torch.ones(1, 2, 6, 8).bfloat16(), "source": SOURCE.bfloat16()},
            "flow is of torch.bfloat16 and source of torch.bfloat16, expected torch.float32",
        ),
        (MotionRequest, {"prompt": 3}, "prompt is 3"),
        (VideoRequest, {"source": torch.rand(1, 3, 6, 8)}, "source has 1 frame"),
        (VideoRequest, {"source_prompt": None}, "source_prompt is None"),
        (VideoRequest, {"target_prompt": None}, "target_prompt is None"),
        (VideoRequest, {"target_image": torch.rand(4, 9, 4)}, r"target_image is .* expected \(3, h, w\)"),
        (VideoRequest, {"target_mask": torch.ones(1, 4, 9)}, r"target_mask is .* expected \(1, 9, 4\) as target_image"),
        (VideoRequest, {"target_mask": torch.zeros(1, 9, 4)}, "target_mask is empty, so target_image shows no object"),
        (VideoRequest, {"fps": 0}, "fps is 0"),
        (VideoRequest, {"fps": INF}, "fps is inf"),
        (VideoRequest, {"fps": NAN}, "fps is nan"),
    ],
)
def test_requests_that_no_editor_could_answer_are_refused(kind, changes, named):
    with pytest.raises(UserError, match=named):
        kind(**SOUND[kind] | changes)


def test_values_a_rounding_error_beyond_the_range_are_accepted():
    assert EditRequest(source=SOURCE + 1e-4).source.max() <= 1.001


class Halves(Editor):
    """Answers in two steps."""

    request_class = EditRequest

    def edit(self, request, *, on_progress=None) -> Edited:
        edited = Edited(request.source / 2, {"rgba": torch.zeros(1, 4, 6, 8)})
        for step in (1, 2):
            if on_progress is not None:
                on_progress(step / 2, lambda: edited)
        return edited


def test_a_batch_is_reported_as_one_whole_and_can_be_stopped():
    requests, seen = [EditRequest(source=SOURCE, seed=seed) for seed in range(3)], []
    edits = Halves().edit_batch(requests, on_progress=lambda fraction, preview: seen.append((fraction, preview())))
    assert len(edits) == 3 and torch.equal(edits[2].frames, SOURCE / 2) and edits[0].layers["rgba"].shape[1] == 4
    fractions = [fraction for fraction, _ in seen]
    assert len(fractions) == 6 and fractions[-1] == 1 and all(low < high for low, high in pairwise(fractions))
    assert torch.equal(seen[0][1].frames, SOURCE / 2)

    def stop(fraction: float, preview: object) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Halves().edit_batch(requests, on_progress=stop)


@pytest.mark.parametrize(
    "answers",
    [
        None,
        [],
        [SOURCE],
        [Edited(SOURCE[..., :5])],
        [Edited((SOURCE * 255).byte())],
        [Edited(None)],
        (Edited(SOURCE),),
        [Edited(SOURCE.repeat(2, 1, 1, 1))],
    ],
)
def test_answers_that_cannot_be_edits_are_refused_by_the_editors_name(answers):
    with pytest.raises(UserError, match=r"Halves answered .* expected"):
        check_answers(Halves(), answers, [EditRequest(source=SOURCE)])
