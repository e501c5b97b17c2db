from __future__ import annotations

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest


def fields(**changes) -> dict:
    mask = torch.zeros(1, 1, 6, 8)
    mask[..., 2:4, 2:4] = 1
    return {"source": torch.rand(1, 3, 6, 8), "mask": mask, "reference": torch.rand(3, 5, 5)} | changes


def test_sound_request_has_defaults():
    request = ReferenceRequest(**fields())
    assert request.seed == 0 and not request.keep_shape


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"source": torch.rand(3, 6, 8)}, "source must be"),
        ({"source": torch.rand(1, 1, 6, 8)}, "source must be"),
        ({"mask": torch.ones(1, 1, 8, 6)}, "export both at one size"),
        ({"mask": torch.ones(2, 1, 6, 8)}, "export both at one size"),
        ({"mask": torch.zeros(1, 1, 6, 8)}, "the mask is empty"),
        ({"mask": torch.full((1, 1, 6, 8), torch.nan)}, "NaN"),
        ({"source": torch.full((1, 3, 6, 8), torch.inf)}, "infinity"),
        ({"reference": torch.rand(1, 3, 5, 5)}, "reference must be"),
        ({"reference": torch.full((3, 5, 5), torch.nan)}, "reference holds NaN"),
    ],
)
def test_request_that_no_editor_could_answer_is_refused(changes, named):
    with pytest.raises(UserError, match=named):
        ReferenceRequest(**fields(**changes))
