"""What a torch program does, as a ledger hears of it."""

from concurrent.futures import Future

import pytest

import goodput
from goodput.ledger.read import read

torch = pytest.importorskip("torch")

import torch.distributed.checkpoint as distributed  # noqa: E402 - after the skip

from goodput.frontends.torch_ledger import TorchLedger  # noqa: E402 - likewise


@pytest.fixture
def ledger(tmp_path):
    return goodput.Ledger(tmp_path / "run.jsonl")


@pytest.fixture
def watched(ledger):
    """A ledger that hears of this process."""
    watch = TorchLedger(ledger)
    watch.attach()
    for then in watch.late_imports.values():
        then()
    yield ledger
    watch.remove()


def session(ledger, tmp_path):
    ledger.close()
    (found,) = read(tmp_path / "run.jsonl")
    return found


def trainer(elements=64):
    model = torch.nn.Linear(elements, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        model(torch.ones(2, elements)).sum().backward()
        optimizer.step()

    return model, step


def test_everything_is_taken_off_again(ledger):
    before = (torch.save, torch.load, distributed.save, distributed.async_save)
    iterator = torch.utils.data.dataloader._BaseDataLoaderIter.__next__
    watch = TorchLedger(ledger)
    watch.attach()
    for then in watch.late_imports.values():
        then()
    assert torch.save is not before[0]
    watch.remove()
    assert (torch.save, torch.load, distributed.save, distributed.async_save) == before
    assert torch.utils.data.dataloader._BaseDataLoaderIter.__next__ is iterator
    ledger.close()


def test_only_steps_of_the_largest_optimizer_are_steps(watched, tmp_path):
    _, small = trainer(2)
    _, large = trainer(64)
    large()
    small()
    large()
    steps = session(watched, tmp_path).steps
    assert steps.number.tolist() == [0, 1]
    assert (steps.start[1:] == steps.end[:-1]).all()


def test_the_end_of_the_data_is_a_wait_that_ends(watched, tmp_path):
    assert len(list(torch.utils.data.DataLoader(torch.ones(6), batch_size=2))) == 3
    assert len(session(watched, tmp_path).waits[0]) == 4


@pytest.mark.parametrize(("held", "event"), [(64, "checkpoint_save"), (16, "custom")])
def test_a_checkpoint_holds_half_of_the_parameters(watched, tmp_path, held, event):
    trainer(64)[1]()
    torch.save({"a": [{"b": torch.ones(held)}]}, tmp_path / "x.pt")
    (span,) = session(watched, tmp_path).of("checkpoint_save", "custom")
    assert (span.event, span.step) == (event, 0 if event == "checkpoint_save" else None)


def test_a_save_that_fails_is_not_done(watched, tmp_path):
    model, step = trainer()
    step()
    with pytest.raises(RuntimeError, match="does not exist"):
        torch.save(model.state_dict(), tmp_path / "nowhere" / "x.pt")
    (span,) = session(watched, tmp_path).of("checkpoint_save")
    assert not span.ok


def test_a_distributed_checkpoint_is_one_save(watched, tmp_path):
    model, step = trainer()
    step()
    distributed.save(model.state_dict(), checkpoint_id=tmp_path / "shards", no_dist=True)
    distributed.load(model.state_dict(), checkpoint_id=tmp_path / "shards", no_dist=True)
    found = session(watched, tmp_path)
    (span,) = found.of("checkpoint_save")
    assert (span.step, span.ok, span.blocking) == (0, True, True)
    assert found.of("checkpoint_load")


@pytest.mark.parametrize("fails", [False, True])
def test_an_asynchronous_save_lasts_until_it_is_done(ledger, tmp_path, monkeypatch, fails):
    future = Future()
    monkeypatch.setattr(distributed, "async_save", lambda _state: future)
    watch = TorchLedger(ledger)
    watch.attach()
    watch.late_imports["torch.distributed.checkpoint"]()
    _, step = trainer()
    step()
    assert distributed.async_save({}) is future
    step()
    if fails:
        future.set_exception(OSError("lost"))
    else:
        future.set_result(None)
    watch.remove()
    found = session(ledger, tmp_path)
    (span,) = found.of("checkpoint_save")
    assert (span.step, span.ok, span.blocking) == (0, not fails, False)
    assert span.end >= found.steps.end[-1]


def test_a_process_that_goes_on_is_numbered_by_its_optimizer(watched, tmp_path):
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.state[model.weight] = {
        "step": torch.tensor(41.0),
        "exp_avg": torch.zeros(1, 4),
        "exp_avg_sq": torch.zeros(1, 4),
    }
    optimizer.step()
    found = session(watched, tmp_path)
    assert found.steps.number.tolist() == [41]
    assert found.of("checkpoint_load")[0].step == 40
