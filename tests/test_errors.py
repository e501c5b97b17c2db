from __future__ import annotations

import pickle

import pytest

from mimicbrush.errors import Faults, UserError, end_with_error, first_line, quoted, some_of


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("a library's\n  words, wrapped", "error: a library's words, wrapped\n"),
        ("2 faults:\n- set\n  - one\n     thing\n  - two", "error: 2 faults:\n- set\n  - one thing\n  - two\n"),
        ("Traceback\nmimicbrush.errors.UserError: the\nreason", "error: the reason\n"),
    ],
)
def test_message_is_one_line_or_a_list(capsys, message, printed):
    with pytest.raises(SystemExit) as end:
        end_with_error(UserError(message))
    assert end.value.code == 2
    assert capsys.readouterr().err == printed


def test_a_few_of_many_are_named():
    assert some_of(["a", "b", "c"]) == "a, b, c"
    assert some_of([1, 2, 3, 4, 5]) == "1, 2, 3 and 2 more"
    assert some_of([1, 2, 3], 1) == "1 and 2 more"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a red hat", "'a red hat'"),
        ("a" * 99, "'" + "a" * 55 + "...'"),
        (["a" * 99], "['" + "a" * 54 + "...]"),
    ],
)
def test_a_long_value_is_shortened_within_its_quotes(value, shown):
    assert quoted(value) == shown


def test_all_faults_of_one_thing_are_named_in_order():
    faults = Faults()
    with faults.collect():
        raise UserError("no source")
    faults.check(True, "not a fault")
    faults.check(False, "seed is -1")
    with faults.collect():
        raise UserError("no mask", "no reference")
    with pytest.raises(UserError) as raised:
        faults.refuse()
    assert str(raised.value) == "4 faults:\n- no source\n- seed is -1\n- no mask\n- no reference"
    assert pickle.loads(pickle.dumps(raised.value)).faults == raised.value.faults


def test_one_fault_is_a_sentence_and_no_fault_raises_nothing():
    faults = Faults()
    faults.refuse()
    faults.check(False, "seed is -1")
    with pytest.raises(UserError, match=r"^seed is -1$"):
        faults.refuse()
    with pytest.raises(ZeroDivisionError), faults.collect():
        _ = 1 / 0


@pytest.mark.parametrize(
    ("error", "line"),
    [(OSError("\n no disk \nat all"), "no disk"), (RuntimeError(), "RuntimeError"), (ValueError(" \n"), "ValueError")],
)
def test_an_error_has_a_first_line_also_without_a_message(error, line):
    assert first_line(error).strip() == line
