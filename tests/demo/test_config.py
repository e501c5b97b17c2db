from __future__ import annotations

import pytest

from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.errors import UserError


def test_all_wrong_settings_are_listed_together():
    with pytest.raises(UserError) as raised:
        DemoConfig(port=0, allowed_hosts=["a:80"], lora_scale=2.0, num_inference_steps=200, guidance_scale=30)
    named = [
        "lora_scale is 2.0",
        "port is 0",
        "allowed_hosts has a:80",
        "num_inference_steps is 200",
        "guidance_scale is 30",
    ]
    assert [fault.startswith(name) for fault, name in zip(raised.value.faults, named, strict=True)] == [True] * 5
    with pytest.raises(UserError, match=r"- limits\.upload_mb is 0.*\n- limits\.waiting is -1"):
        Limits(upload_mb=0, waiting=-1)
