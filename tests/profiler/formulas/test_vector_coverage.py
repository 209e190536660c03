"""Ordinary models: each operator that they call has a formula, which agrees with the outputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.aten_movement import NOTHING
from goodput.formulas.registry import has_formula, registered, work_of
from goodput.work import Call

torch = pytest.importorskip("torch")
nn = torch.nn

VIEWS = {f"aten::{name}" for name in NOTHING}
OLDER = (
    "convolution",
    "conv_depthwise",
    "conv2d_backward",
    "slow_conv",
)
"""Parts of the names of convolutions that only older versions of PyTorch have."""


def mlp() -> None:
    model = nn.Sequential(
        nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 4)
    )
    model(torch.randn(5, 8)).square().mean().backward()


def activations() -> None:
    x = torch.randn(4, 8, requires_grad=True)
    kinds = (nn.ReLU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.LeakyReLU, nn.Hardswish, nn.Mish)
    kinds += (nn.Hardtanh, nn.Softplus, nn.LogSigmoid, nn.GLU, nn.ReLU6, nn.Softmax, nn.PReLU)
    for kind in kinds:
        layer = kind(dim=-1) if kind in (nn.Softmax, nn.GLU) else kind()
        layer(x).sum().backward()


def convnet() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.GroupNorm(2, 8),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 4),
    )
    images = torch.randn(2, 3, 8, 8)
    model(images).sum().backward()
    model.eval()
    with torch.no_grad():
        model(images)


def language_model() -> None:
    embedding, head = nn.Embedding(32, 8), nn.Linear(8, 32)
    tokens = torch.randint(0, 32, (2, 6))
    logits = head(embedding(tokens))
    nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    probabilities = torch.softmax(logits[:, -1], -1)
    torch.multinomial(probabilities, 1)
    probabilities.topk(3)
    torch.sort(probabilities)
    torch.cumsum(probabilities, -1)
    probabilities.argmax(-1).eq(0).any().item()


def masks_and_positions() -> None:
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    scores = torch.randn(6, 6).masked_fill(~mask, float("-inf"))
    torch.where(mask, scores.softmax(-1), torch.zeros(()))
    angles = torch.outer(torch.arange(6, dtype=torch.float32), torch.rand(4))
    torch.cat((angles.cos(), angles.sin()), -1).repeat(1, 2)
    nn.functional.pad(angles, (1, 1)).roll(1, 0).flip(0)
    nn.functional.one_hot(torch.arange(3), 4)
    angles[mask[0]] = 0.0
    angles[torch.tensor([0, 1])].nonzero()


def losses() -> None:
    x, y = torch.rand(4, 3, requires_grad=True), torch.rand(4, 3)
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"):
        getattr(nn.functional, name)(x, y).backward()
    nn.functional.binary_cross_entropy_with_logits(x, y).backward()
    nn.functional.kl_div(x.log(), y, reduction="batchmean").backward()
    nn.functional.cosine_similarity(x, y).sum().backward()


def recurrent() -> None:
    out, _ = nn.LSTM(4, 5, num_layers=2)(torch.randn(3, 2, 4))
    out.sum().backward()
    nn.GRU(4, 5)(torch.randn(3, 2, 4))[0].sum().backward()


def autocast() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))
    with torch.autocast("cpu", torch.bfloat16):
        loss = nn.functional.cross_entropy(model(torch.randn(4, 8)), torch.zeros(4).long())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def trained_by(kind: str, **settings: object) -> Callable[[], None]:
    def train() -> None:
        model = nn.Linear(4, 3)
        optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1, **settings)
        for _ in range(2):
            optimizer.zero_grad(set_to_none=False)
            model(torch.randn(2, 4)).sum().backward()
            optimizer.step()

    return train


MODELS = {
    "mlp": mlp,
    "activations": activations,
    "convnet": convnet,
    "language model": language_model,
    "masks and positions": masks_and_positions,
    "losses": losses,
    "recurrent": recurrent,
    "autocast": autocast,
    "AdamW for-loop": trained_by("AdamW", foreach=False),
    "AdamW foreach": trained_by("AdamW", foreach=True),
    "AdamW fused": trained_by("AdamW", fused=True),
    "Adam amsgrad": trained_by("Adam", amsgrad=True, foreach=True),
    "SGD momentum": trained_by("SGD", momentum=0.9, foreach=False),
    "SGD foreach": trained_by("SGD", momentum=0.9, nesterov=True, foreach=True),
    "SGD fused": trained_by("SGD", momentum=0.9, fused=True),
    "Adagrad fused": trained_by("Adagrad", fused=True),
    "RMSprop": trained_by("RMSprop", momentum=0.9),
    "Adamax": trained_by("Adamax"),
    "RAdam": trained_by("RAdam"),
    "NAdam": trained_by("NAdam"),
    "Rprop": trained_by("Rprop"),
}


@pytest.mark.parametrize("model", MODELS)
def test_every_operator_has_a_formula_that_answers(model, calls_of):
    calls = [call for call in calls_of(MODELS[model]) if call.name.startswith("aten::")]

    assert calls
    assert not sorted({call.name for call in calls if not has_formula(call.name)})
    assert not [call for call in calls if work_of(call) is None]


@pytest.mark.parametrize("model", MODELS)
def test_pure_elementwise_and_copying_operators_write_their_outputs(model, calls_of):
    """What a formula derives from the inputs alone is what PyTorch made."""
    names = {"add", "mul", "div", "sub", "where", "gelu", "clone", "cat", "_to_copy", "mean", "sum"}
    names |= {"_softmax", "_log_softmax", "native_dropout", "eq", "sqrt", "lerp", "embedding"}
    names |= {"max_pool2d_with_indices", "avg_pool2d", "upsample_bilinear2d", "arange", "topk"}
    names |= {"native_layer_norm_backward", "gelu_backward", "constant_pad_nd", "index_select"}

    def wrong(call: Call) -> bool:
        work = work_of(call)
        made = sum(out.numel * out.item_bytes for out in call.outputs)
        return work is None or work.bytes_written != made

    calls = [call for call in calls_of(MODELS[model]) if call.name.removeprefix("aten::") in names]

    assert not [call for call in calls if wrong(call)]


def test_clipping_and_scaling(calls_of):
    parameters = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.ones(3)
    calls = calls_of(lambda: nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True))

    assert "aten::_foreach_norm" in {call.name for call in calls}
    assert not [call for call in calls if work_of(call) is None]


def test_every_name_is_an_operator_of_torch():
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    unknown = {n for n in registered() if n.startswith("aten::") and n not in known}

    assert not {name for name in unknown if not any(part in name for part in OLDER)}


def test_every_in_place_form_of_a_counted_operator_is_counted():
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    forms = {f"{name}_" for name in registered() if f"{name}_" in known}

    assert not {name for name in forms if not has_formula(name)}


def test_views_are_what_torch_calls_views():
    """Every operator that only returns an alias of its input is free."""
    found = set()
    for schema in torch._C._jit_get_all_schemas():
        alias = schema.returns and schema.returns[0].alias_info
        plain = schema.name.startswith("aten::") and has_formula(schema.name)
        if plain and alias and not alias.is_write:
            found.add(schema.name)

    assert len(found) > 20
    assert not found - VIEWS
