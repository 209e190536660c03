"""Counting on shapes: nothing is computed, nothing is left behind, and nothing is guessed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from goodput.errors import UsageError
from goodput.frontends.torch_count import Count, Step, Unshaped, count_step, on_shapes
from goodput.frontends.torch_count_modules import hollow_modules

LINEAR = 2 * 32 * 64 * 64


def useful(found: Count | Unshaped, phase: str = "") -> int:
    assert isinstance(found, Count), found
    return sum(
        entry.work.flops
        for entry in found.work.entries
        if entry.work is not None and entry.phase.startswith(phase)
    )


def linear() -> tuple[nn.Linear, Tensor]:
    return nn.Linear(64, 64, bias=False), torch.randn(32, 64)


def test_a_model_that_no_memory_could_hold_is_counted() -> None:
    def make() -> Step:
        model = nn.Sequential(*(nn.Linear(2**17, 2**17, bias=False) for _ in range(100)))
        return Step(model, (torch.randn(8, 2**17),), train=True)

    assert useful(on_shapes(make)) == (3 * 100 - 1) * 2 * 8 * 2**34


def test_weights_gradients_and_modes_stay_as_they_were() -> None:
    model, x = linear()
    model(x).sum().backward()
    weight, gradient = model.weight.clone(), model.weight.grad.clone()
    parameter = model.weight
    count_step(Step(model, (x,), train=False))
    assert model.weight is parameter
    assert model.training
    assert torch.equal(model.weight, weight)
    assert torch.equal(model.weight.grad, gradient)
    assert x.device.type == "cpu"
    assert not torch.zeros(3).is_meta


def test_a_training_step_around_a_real_optimizer_changes_nothing() -> None:
    model, x = linear()
    optimizer = torch.optim.AdamW(model.parameters())

    def train() -> Tensor:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    train()
    weight, step = model.weight.clone(), optimizer.state[model.weight]["step"].clone()
    found = count_step(Step(train))
    assert useful(found, "forward") == useful(found, "backward") == LINEAR
    assert {entry.phase for entry in found.work.entries} == {"forward", "backward", "optimizer"}
    assert not any(entry.operator == "aten::zeros_like" for entry in found.work.entries)
    assert torch.equal(model.weight, weight)
    assert optimizer.state[model.weight]["step"] == step
    train()
    assert optimizer.state[model.weight]["step"] == step + 1


def test_buffers_of_a_module_stay_as_they_were() -> None:
    model = nn.BatchNorm1d(8)
    count_step(Step(model, (torch.randn(4, 8),), train=True))
    assert model.num_batches_tracked == 0
    assert torch.equal(model.running_mean, torch.zeros(8))


def test_hollow_modules_share_what_was_shared() -> None:
    embedding, head = nn.Embedding(16, 8), nn.Linear(8, 16, bias=False)
    head.weight = embedding.weight
    with hollow_modules():
        assert head.weight is embedding.weight
        assert head.weight.is_meta
    assert not head.weight.is_meta


def test_a_number_that_is_only_told_is_nan_and_a_warning() -> None:
    model, x = linear()
    seen: list[float] = []
    found = count_step(Step(lambda: seen.append(model(x).sum().item())))
    assert useful(found) == LINEAR
    assert seen[0] != seen[0]  # NaN
    assert any("NaN" in warning for warning in found.warnings)


def test_numbers_that_nothing_computed_are_equal_to_none_and_that_is_told() -> None:
    model, x = linear()
    seen: list[bool] = []
    found = count_step(Step(lambda: seen.append(torch.equal(model(x).sum(), torch.tensor(1.0)))))
    assert useful(found) == LINEAR
    assert seen == [False]
    assert any("NaN" in warning for warning in found.warnings)


def test_a_size_that_depends_on_a_number_is_found_by_a_run() -> None:
    model, x = linear()
    found = count_step(Step(lambda: model(x[: 1 + int((model(x) * 0).sum().item())])))
    assert useful(found) == LINEAR + LINEAR // len(x)
    assert any("was run once for real" in warning for warning in found.warnings)


def routed(x: Tensor, experts: list[nn.Linear], gate: nn.Linear) -> Tensor:
    chosen, mixed = gate(x).argmax(-1), torch.zeros_like(x)
    for number, expert in enumerate(experts):
        rows = (chosen == number).nonzero()[:, 0]
        mixed[rows] += expert(x[rows])
    return mixed


def test_what_decides_by_values_is_run_once_and_told() -> None:
    gate, x = nn.Linear(64, 4, bias=False), torch.randn(32, 64)
    experts = [nn.Linear(64, 64, bias=False) for _ in range(4)]
    found = count_step(Step(routed, (x, experts, gate)))
    # Every row goes to one expert, whichever it is.
    assert useful(found) == LINEAR + 2 * 32 * 64 * 4
    assert "aten::nonzero" in found.warnings[0]
    assert "once for real" in found.warnings[0]


def test_values_that_the_program_brings_along_are_known() -> None:
    model, x = linear()
    keep = torch.arange(32) % 4 == 0

    def step() -> Tensor:
        lengths = torch.tensor([3, 5])
        rows = torch.repeat_interleave(torch.arange(2), lengths)
        assert int(lengths.sum()) == len(rows) == 8
        return model(x)[keep] @ torch.randn(64, 8)

    found = on_shapes(lambda: Step(step))
    assert useful(found) == LINEAR + 2 * 8 * 64 * 8


def attend(mask: Tensor | None) -> Callable[[], Tensor]:
    def call() -> Tensor:
        q = torch.randn(2, 4, 16, 8)
        return functional.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    return call


def test_a_mask_that_is_known_is_counted_pair_by_pair() -> None:
    mask = torch.arange(16)[None] <= torch.arange(16)[:, None]
    assert useful(count_step(Step(attend(mask)))) == 4 * 8 * 2 * 4 * (16 * 17 // 2)


def test_a_mask_that_was_computed_is_counted_dense_and_told() -> None:
    found = on_shapes(lambda: Step(attend(torch.randn(16, 16) > 0)))
    assert useful(found) == 4 * 8 * 2 * 4 * 16 * 16
    assert isinstance(found, Count)
    assert "mask" in found.warnings[0]


def test_moves_to_a_gpu_that_is_not_here_change_nothing() -> None:
    def make() -> Step:
        model = nn.Linear(64, 64, bias=False).cuda().to("cuda:0")
        return Step(model, (torch.randn(32, 64, device="cuda").to("cuda", torch.float32),))

    assert useful(on_shapes(make)) == LINEAR


def test_hollow_tensors_say_that_they_are_on_the_cpu() -> None:
    seen: list[Any] = []

    def make() -> Step:
        x = torch.randn(4)
        seen.extend([x.device.type, x.is_meta, x.is_cpu, x.is_cuda])
        return Step(lambda: x * 2)

    on_shapes(make)
    assert seen == ["cpu", False, True, False]


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_autocast_lowers_products(device: str) -> None:
    def make() -> Step:
        model = nn.Linear(64, 64, bias=False)

        def step(x: Tensor) -> Tensor:
            with torch.autocast(device, dtype=torch.bfloat16):
                return model(x)

        return Step(step, (torch.randn(32, 64),), train=True)

    found = on_shapes(make)
    assert isinstance(found, Count)
    modes = {e.mode for e in found.work.entries if e.work is not None and e.work.flops}
    assert modes == {"bfloat16"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (torch.cuda.synchronize, "asks for a GPU that is not here"),
        (lambda: {}["x"], "KeyError"),
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), "shapes cannot be multiplied"),
        (lambda: None, "ran no operator"),
    ],
)
def test_a_program_that_fails_by_itself(call: Callable[[], object], text: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError, match=text):
        count_step(Step(call))


def test_the_place_of_a_failure_is_told() -> None:
    def fail() -> None:
        raise KeyError("name")

    with pytest.raises(UsageError, match=r"KeyError: 'name' \(.*test_torch_count\.py:\d+\)"):
        count_step(Step(fail))


def test_a_backward_pass_of_nothing() -> None:
    with pytest.raises(UsageError, match="leave --train out"):
        count_step(Step(torch.ones_like, (torch.ones(2),), train=True))


def test_shapes_and_values_agree_on_every_operator() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.Flatten())
    x = torch.randn(2, 3, 8, 8)

    from goodput.frontends.torch_count import on_values

    step = Step(model, (x,), train=True)
    shapes, values = count_step(step), on_values(lambda: step, Unshaped("", "asked for", 0))
    assert [e.operator for e in shapes.work.entries] == [e.operator for e in values.work.entries]
    assert [e.work for e in shapes.work.entries] == [e.work for e in values.work.entries]
