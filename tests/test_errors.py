from __future__ import annotations

import pytest

from mimicbrush.errors import UserError, run_command


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("a library's\n  words, wrapped", "error: a library's words, wrapped\n"),
        ("2 faults:\n- set\n  - one\n     thing\n  - two", "error: 2 faults:\n- set\n  - one thing\n  - two\n"),
        ("Traceback\nmimicbrush.errors.UserError: the\nreason", "error: the reason\n"),
    ],
)
def test_message_is_one_line_or_a_list(capsys, message, printed):
    def main() -> None:
        raise UserError(message)

    with pytest.raises(SystemExit) as end:
        run_command(main)
    assert end.value.code == 2
    assert capsys.readouterr().err == printed
