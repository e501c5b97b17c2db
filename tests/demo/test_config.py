from __future__ import annotations

import pytest

from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.preconditions import read_password
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "fe80::1", "my-machine"])
def test_other_machines_need_a_password_or_an_explicit_word(host, tmp_path):
    with pytest.raises(UserError, match=rf"host is {host}.*--password_file FILE, or --open if everybody may use"):
        DemoConfig(host=host)
    with pytest.raises(UserError, match="exclude each other"):
        DemoConfig(host=host, open=True, password_file=tmp_path / "password")
    assert DemoConfig(host=host, open=True).open
    assert DemoConfig(host=host, password_file=tmp_path / "password").password_file


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_needs_no_password(host):
    assert DemoConfig(host=host).is_local


@pytest.mark.parametrize(
    ("content", "fault"), [(b"", "0 characters"), (b"short\n", "5 characters"), (b"\xff", "no text")]
)
def test_an_unusable_password_file_is_reported_before_anything_is_loaded(tmp_path, content, fault):
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(UserError, match=fault):
        read_password(tmp_path / "password")
    with pytest.raises(UserError, match="--password_file expects a file"):
        read_password(tmp_path / "missing")
    (tmp_path / "password").write_bytes(b"\xef\xbb\xbfcorrect horse\r\nsecond line\n")  # as Windows writes it
    assert read_password(tmp_path / "password") == "correct horse"


def test_ceilings_are_no_smaller_than_an_upload():
    with pytest.raises(ValueError, match=r"limits\.workspace_mb is 10, expected at least limits\.upload_mb = 50"):
        Limits(workspace_mb=10)
