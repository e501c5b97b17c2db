"""In each step, ranks exchange their gradients and one message."""

from collections.abc import Iterator

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from mimicbrush.training import ranks
from mimicbrush.training.ranks import RankCores
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.stop_signals import SIGNALS, StopSignals
from mimicbrush.training.trainer import fit, make_trainer
from tests.training.test_training import config

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "LOCAL_WORLD_SIZE": "2",
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "1",
}
NUM_STEPS = 5


class Exchanges(TorchDispatchMode):
    """Records the name and the number of values of each collective operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator.namespace == "c10d":
            tensors = [value for value in torch.utils._pytree.tree_leaves(args) if isinstance(value, torch.Tensor)]
            self.seen.append((operator.name().split("::")[1], sum(value.numel() for value in tensors)))
        return operator(*args, **kwargs or {})


def keep_gradients(exchanges: Exchanges, bucket: torch.distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """Replace DDP's exchange of gradients, which would wait for the other rank for ever."""
    exchanges.seen.append(("gradients", bucket.buffer().numel()))
    kept = torch.futures.Future()
    kept.set_result(bucket.buffer())
    return kept


class NoteEachStep(Callback):
    """Collects the exchanges of each step, including those of all callbacks."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self.steps: list[list[tuple[str, int]]] = []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        trainer.strategy.model.register_comm_hook(self.exchanges, keep_gradients)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args) -> None:
        self.steps.append(list(self.exchanges.seen))
        self.exchanges.seen.clear()


@pytest.fixture
def second_rank(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pretend that torchrun has started a second rank, which answers with zeros."""
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "own_cores", lambda: RankCores("node", frozenset(range(4)), 4))
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def test_ranks_exchange_their_gradients_and_one_message_a_step(shards, tmp_path, second_rank):
    # All callbacks are active, but have work only in the last step.
    later = dict.fromkeys(("record_every", "preview_every", "reference_use_every", "heldout_loss_every"), 100)
    settings = config(shards, tmp_path / "run", max_steps=NUM_STEPS, checkpoint_every=100, **later)
    trainer, module, exchanges = make_trainer(settings, StopSignals()), make_module(settings), Exchanges()
    noted = NoteEachStep(exchanges)
    trainer.callbacks.insert(0, noted)
    with exchanges:
        fit(trainer, module, make_data(settings), None)
    assert (trainer.world_size, trainer.global_step) == (2, NUM_STEPS)
    num_trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    expected = [("gradients", num_trained), ("allreduce_", 2 + len(SIGNALS))]
    _, first, second, *others = noted.steps
    assert [first, *others] == [expected] * (NUM_STEPS - 2)
    # DDP broadcasts the order of gradients once.
    assert {name for name, _ in second[:-2]} == {"broadcast_"}
    assert second[-2:] == expected
