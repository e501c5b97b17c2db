from __future__ import annotations

from mimicbrush.reports.text_table import align_columns, markdown_table

ROWS = [["", "a", "bcd"], ["first", "12", "3"]]


def test_columns_are_aligned():
    assert align_columns(ROWS) == "       a   bcd\nfirst  12  3"
    assert align_columns(ROWS, right=True) == "        a  bcd\nfirst  12    3"


def test_markdown_has_a_rule_below_its_header():
    assert markdown_table(ROWS) == "|  | a | bcd |\n| --- | --- | --- |\n| first | 12 | 3 |"
    assert markdown_table(ROWS, right=True).splitlines()[1] == "| --- | ---: | ---: |"
