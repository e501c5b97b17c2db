"""The progress bar on a terminal."""

import io
import sys
from types import SimpleNamespace

from mimicbrush.training.progress_display import ProgressDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_starts_where_the_run_resumes_and_messages_have_their_own_lines(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    records = SimpleNamespace(row={"step": 40, "images_per_second": 12.5, "waiting_share": 0.02})
    progress = ProgressDisplay(records, SimpleNamespace(smooth_loss=0.125))
    trainer = SimpleNamespace(global_step=40, max_steps=100, is_global_zero=True)
    progress.on_train_start(trainer, None)
    progress.on_step(trainer, None, 41)
    progress.print("step 41: the loss is not finite")
    progress.on_train_end(trainer, None)
    assert "step 40/100" in terminal.getvalue()
    assert "step 41/100" in terminal.getvalue()
    assert "loss 0.1250, 12.5 images/s, left" in terminal.getvalue()
    assert capsys.readouterr().out == "step 41: the loss is not finite\n"
    assert progress.bar is None


def test_other_ranks_print_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = ProgressDisplay(SimpleNamespace(row={}), SimpleNamespace(smooth_loss=0.0))
    trainer = SimpleNamespace(global_step=0, max_steps=9, is_global_zero=False)
    progress.setup(trainer, None, "fit")
    progress.on_train_start(trainer, None)
    progress.on_step(trainer, None, 1)
    assert terminal.getvalue() == ""
