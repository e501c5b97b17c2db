from __future__ import annotations

import csv
import io
import math

from mimicbrush.reports.data_table import DataTable, Measured, escape_latex

TABLE = DataTable(
    name="means",
    caption="Two editors.",
    header=["Editor", "SSIM ↑", "Time (s) ↓", "Edits"],
    rows=[
        ["A & B", Measured(0.5, 0.4, 0.6, mark="best"), Measured(2.0), 3],
        ["50 %_#", Measured(-0.25, -0.5, 0.1, mark="tied"), None, 4],
    ],
)


def test_latex_is_escaped():
    assert escape_latex(r"a_b & 50 % #1 $x$ {y} ~ ^ \z") == (
        r"a\_b \& 50 \% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z"
    )
    assert escape_latex("↑ ↓ ∞ <|>") == (r"$\uparrow$ $\downarrow$ $\infty$ \textless{}\textbar{}\textgreater{}")


def test_latex_has_the_rules_of_booktabs_and_the_marks():
    assert (
        TABLE.to_latex()
        == r"""% Two editors. Needs \usepackage{booktabs}.
\begin{tabular}{lrrr}
\toprule
Editor & SSIM $\uparrow$ & Time (s) $\downarrow$ & Edits \\
\midrule
A \& B & \textbf{0.500} {\scriptsize [0.400, 0.600]} & 2.00 & 3 \\
50 \%\_\# & $-$0.250$^{\approx}$ {\scriptsize [$-$0.500, 0.100]} & -- & 4 \\
\bottomrule
\end{tabular}
"""
    )


def test_csv_has_full_numbers_and_the_ends_of_intervals():
    rows = list(csv.reader(io.StringIO(TABLE.to_csv())))
    assert rows == [
        ["Editor", "SSIM", "SSIM, low", "SSIM, high", "Time (s)", "Edits"],
        ["A & B", "0.5", "0.4", "0.6", "2.0", "3"],
        ["50 %_#", "-0.25", "-0.5", "0.1", "", "4"],
    ]


def test_files_and_buttons_hold_the_same_texts(tmp_path):
    paths = TABLE.write(tmp_path)
    assert [path.name for path in paths] == ["means.csv", "means.tex"]
    assert [path.read_text(encoding="utf-8") for path in paths] == [TABLE.to_csv(), TABLE.to_latex()]
    shown = TABLE.buttons()
    assert "A \\&amp; B" in shown and shown.count("<button") == 4


def test_infinite_and_certain_values_have_no_interval():
    assert Measured(math.inf).text == "∞" and Measured(math.inf).interval == ""
    assert Measured(1.0, 1.0, 1.0).interval == ""
    assert Measured(0.5, 0.25, 0.75, sign="+").interval == "[+0.250, +0.750]"
