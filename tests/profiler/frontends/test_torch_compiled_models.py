"""Hugging Face models under torch.compile: counted as the eager ones are, module by module."""

from __future__ import annotations

import importlib
import shutil
from collections import Counter

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)

importlib.import_module("torch._inductor.compile_fx")
from goodput.frontends.torch_inductor import InductorWatch  # noqa: E402 - after the skip
from goodput.frontends.torch_passes import TorchCounter  # noqa: E402

VOCABULARY, TOKENS = 128, 32


def gpt2():
    config = transformers.GPT2Config(
        n_layer=1,
        n_head=4,
        n_embd=64,
        vocab_size=VOCABULARY,
        n_positions=TOKENS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)


def llama():
    config = transformers.LlamaConfig(
        num_hidden_layers=1,
        hidden_size=64,
        intermediate_size=128,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=TOKENS,
    )
    return transformers.LlamaForCausalLM(config)


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(torch._dynamo.eval_frame, "cached_backends", {})
    torch._dynamo.reset()
    found = InductorWatch()
    found.install()
    yield found
    found.remove()
    torch._dynamo.reset()
    assert not found.fault


def counted(watch, step):
    step()
    counter = TorchCounter(lambda: None, lambda: False, watch)
    assert counter.start() or counter.start()
    step()
    work = counter.stop()
    assert not work.failure
    assert counter.compiled.told() == ()
    return work


def by_place(work):
    found = Counter()
    for entry in work.entries:
        if entry.work and entry.work.flops:
            found[entry.module, entry.phase] += entry.work.flops
    return found


@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize("padded", [False, True])
def test_a_compiled_model_is_counted_as_the_eager_one(watch, make, padded):
    model = make().train()
    tokens = torch.randint(0, VOCABULARY, (2, TOKENS))
    others = {}
    if padded:
        others["attention_mask"] = torch.ones(2, TOKENS, dtype=torch.long)
        others["attention_mask"][0, -5:] = 0

    def step(called):
        def trained():
            called(input_ids=tokens, labels=tokens, **others).loss.backward()

        return trained

    eager = counted(watch, step(model))
    compiled = torch.compile(model)
    step(compiled)()
    found = counted(watch, step(compiled))
    assert by_place(found) == by_place(eager)
    assert {entry.operator for entry in found.entries if entry.work is None} == set()
    assert any(entry.operator.startswith("fused: ") for entry in found.entries)
