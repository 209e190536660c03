"""The callbacks for Hugging Face's Trainer and for Lightning."""

import sys
import types

import pytest

import goodput
from goodput.ledger.accounts import account_of
from goodput.ledger.jobs import jobs_of
from goodput.ledger.read import read

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


class Clock:
    """Each look at it is a nanosecond later."""

    def __init__(self):
        self.time = 1_700_000_000 * 10**9

    def __call__(self):
        self.time += 1
        return self.time


@pytest.fixture
def ledger(tmp_path):
    opened = goodput.Ledger(tmp_path / "run.jsonl", now=Clock())
    yield opened
    opened.close()


def account(tmp_path):
    (job,) = jobs_of(read(tmp_path / "run.jsonl"))
    return account_of(job)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x, labels=None):  # noqa: ARG002  # the Trainer's name for them
        return {"loss": self.layer(x).sum()}


def test_a_trainer_of_hugging_face(tmp_path, ledger):
    pytest.importorskip("accelerate")
    data = [{"x": torch.ones(4), "labels": 0} for _ in range(12)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=2,
        max_steps=6,
        save_steps=3,
        report_to=[],
        use_cpu=True,
    )
    trainer = transformers.Trainer(
        Model(), arguments, train_dataset=data, callbacks=[ledger.hf_callback()]
    )
    trainer.train()
    ledger.close(clean=False)
    found = account(tmp_path)
    assert found.total.steps.kept == 6
    assert {"checkpoint_save", "data_wait", "initialisation"} <= set(found.total.buckets)


def told(callback, event, step=0, tokens=0):
    state = transformers.TrainerState(global_step=step)
    state.num_input_tokens_seen = tokens
    getattr(callback, event)(None, state, None)


def test_the_events_of_a_trainer(tmp_path, ledger):
    callback = ledger.hf_callback()
    told(callback, "on_train_begin", 10)
    for step in (10, 11):
        told(callback, "on_step_begin", step)
        told(callback, "on_step_end", step + 1, tokens=100 * (step - 9))
    told(callback, "on_evaluate", 12)
    told(callback, "on_save", 12)
    told(callback, "on_train_end", 12)
    ledger.close(clean=False)
    found = account(tmp_path)
    assert found.total.steps.kept == 2
    assert found.total.tokens == 200
    assert found.incarnations[0].loaded == 10
    assert {"evaluation", "checkpoint_save"} <= set(found.total.buckets)


class Trainer:
    """What Lightning's trainer tells of itself."""

    sanity_checking = False

    def __init__(self):
        self.global_step = 0
        self.saved = []

    def save_checkpoint(self, path):
        self.saved.append(path)


@pytest.fixture
def lightning(monkeypatch):
    module = types.ModuleType("lightning.pytorch")
    module.Callback = type("Callback", (), {})
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", module)
    return module


def test_the_hooks_of_lightning(tmp_path, ledger, lightning):
    callback, trainer = ledger.lightning_callback(), Trainer()
    assert isinstance(callback, lightning.Callback)
    callback.setup(trainer, None, "fit")
    trainer.sanity_checking = True  # the check before training is part of starting up
    callback.on_validation_start(trainer, None)
    callback.on_validation_end(trainer, None)
    trainer.sanity_checking = False
    callback.on_train_start(trainer, None)
    for batch in range(4):  # a step accumulates two batches
        callback.on_train_batch_start(trainer, None, None, batch)
        trainer.global_step += batch % 2
        callback.on_train_batch_end(trainer, None, None, None, batch)
    callback.on_validation_start(trainer, None)
    callback.on_validation_end(trainer, None)
    trainer.save_checkpoint("x.ckpt")
    ledger.close(clean=False)
    found = account(tmp_path)
    assert trainer.saved == ["x.ckpt"]
    assert found.total.buckets["unattributed"] < found.total.buckets["initialisation"] + 10
    assert found.total.buckets["evaluation"] == 1
    assert found.total.steps.kept == 2
    assert {"evaluation", "checkpoint_save", "data_wait"} <= set(found.total.buckets)


def test_without_lightning(ledger, monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(goodput.errors.UsageError, match="pip install lightning"):
        ledger.lightning_callback()
