from __future__ import annotations

import pytest

from mimicbrush.errors import UserError, run_command, some_of


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


def test_a_few_of_many_are_named():
    assert some_of(["a", "b", "c"]) == "a, b, c"
    assert some_of([1, 2, 3, 4, 5]) == "1, 2, 3 and 2 more"
    assert some_of([1, 2, 3], 1) == "1 and 2 more"
