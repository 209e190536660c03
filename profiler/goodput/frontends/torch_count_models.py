"""Language models by their Hugging Face config alone, counted without weights.

Never downloads and never runs code that a config names: only architectures that the installed
transformers knows.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import torch

from goodput.errors import NotMeasuredError, UsageError
from goodput.frontends.counted_step import Count
from goodput.frontends.torch_count import NoCollection, Step, Unshaped, on_shapes
from goodput.frontends.torch_count_tensors import KEPT

DEFAULT_TOKENS = 2048
"""Tokens of a sequence where neither the user nor the config says."""

_CAUSAL = ("ForCausalLM", "LMHeadModel")
"""How the names of causal language models end, in transformers and in what builds on it."""

_ENCODERS = frozenset({"bert-generation"})
"""Encoders that are not trained on masked words, by their model_type."""

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len")
_EXPERTS_OF_A_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts")


def count_config(
    path: str | Path, batch: int = 1, seq: int | None = None, *, train: bool = False
) -> Count:
    """One step of the causal language model that the config in the file `path` describes.

    Args:
        path: a `config.json`, or the directory that holds it.
        batch: sequences.
        seq: tokens of each; None takes the config's longest, at most `DEFAULT_TOKENS`.
        train: forward, loss and backward; else the forward pass.

    Raises:
        UsageError: the file is no config of a causal language model that transformers knows.
        NotMeasuredError: the model does not run on shapes.
    """
    file = _file(Path(path))
    with NoCollection():
        config = _config(file)
        longest = _longest(config)
        tokens = seq or min(longest or DEFAULT_TOKENS, DEFAULT_TOKENS)
        found = on_shapes(lambda: _step(config, batch, tokens, train=train))
    if isinstance(found, Unshaped):
        if batch * tokens > KEPT:
            known = f"; the config has positions for {longest}" if longest else ""
            raise NotMeasuredError(
                f"{batch * tokens} tokens are too many: {type(config).__name__} asks for values "
                f"that are kept of {KEPT} at most; give a smaller --seq or --batch{known}"
            )
        raise NotMeasuredError(
            f"{type(config).__name__} cannot be counted without weights: "
            f"{found.operator or 'the model'} said {found.reason}; count a step of it on real "
            "data, as file.py:function"
        )
    told = (*found.warnings, *_notes(config, batch * tokens, tokens, longest))
    return Count(found.work, told, batch * tokens)


def _file(path: Path) -> Path:
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"there is no file {file}; give the config.json of a Hugging Face model after hf:"
        )
    return file


def _config(file: Path) -> Any:
    """The config in `file`, of a class that the installed transformers has."""
    if importlib.util.find_spec("transformers") is None:
        raise UsageError(
            "Hugging Face configs need transformers: pip install 'goodput-profiler[hf]'"
        )
    fields = _fields(file)
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped there
    try:
        config = AutoConfig.for_model(**fields)
    except Exception as error:  # its checks raise errors of many libraries
        raise UsageError(_unreadable(file, fields, error)) from error
    if type(config) not in AutoModelForCausalLM._model_mapping:  # noqa: SLF001 - no public name
        raise UsageError(
            f"{file} describes a {fields['model_type']}, which is no causal language model in "
            "transformers; count it as file.py:function"
        )
    _check_architectures(file, fields)
    _check_causal(file, fields, config)
    return config


def _check_architectures(file: Path, fields: dict[str, Any]) -> None:
    """Whether the model that a config names is the one that would be counted.

    Raises:
        UsageError: it names only models that are no causal language models.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES

    named = fields.get("architectures")
    if not isinstance(named, list) or not named:
        return
    causal = (*_CAUSAL, *filter(None, [NAMES.get(fields["model_type"])]))
    if not any(isinstance(name, str) and name.endswith(causal) for name in named):
        raise UsageError(
            f"{file} describes a {', '.join(map(str, named))}, which is no causal language model; "
            "count it as file.py:function"
        )


def _check_causal(file: Path, fields: dict[str, Any], config: Any) -> None:
    """Whether a model of this config reads from left to right; `model_type` alone may not say so.

    Raises:
        UsageError: it is an encoder, or one with a decoder.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as NAMES

    kind, way_out = fields["model_type"], ""
    if config.is_encoder_decoder:
        if not fields.get("architectures"):
            way_out = (
                "an encoder with a decoder; if it is the decoder alone, name it in architectures"
            )
    elif kind in NAMES or kind in _ENCODERS:
        flags = ("is_decoder", "causal")
        if not any(getattr(config, flag, False) for flag in flags):
            flag = next(flag for flag in flags if hasattr(config, flag))
            way_out = f'an encoder, which reads both ways; if it is a decoder, add "{flag}": true'
    if way_out:
        raise UsageError(
            f"{file} describes a {kind}, which is no causal language model but {way_out}, else "
            "count it as file.py:function"
        )


def _fields(file: Path) -> dict[str, Any]:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no JSON file ({error}); give a config.json") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("model_type"), str):
        raise UsageError(
            f"{file} has no model_type, so it is no config of a Hugging Face model; add the "
            'model_type, such as "llama"'
        )
    return fields


def _unreadable(file: Path, fields: dict[str, Any], error: Exception) -> str:
    from transformers import CONFIG_MAPPING, __version__

    kind = fields["model_type"]
    if kind in CONFIG_MAPPING:
        said = " ".join(str(error).split())
        return f"{file} is no valid config of a {kind}: {said}"
    return (
        f"{file} describes a {kind}, an architecture that transformers {__version__} does not "
        "know; install one that does, or count it as file.py:function"
    )


def _step(config: Any, batch: int, tokens: int, *, train: bool) -> Step:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(config, dtype=_dtype(config))  # type: ignore[no-untyped-call]
    text = torch.zeros(batch, tokens, dtype=torch.long)
    inputs: dict[str, Any] = {"input_ids": text, "use_cache": False}
    if train:
        inputs["labels"] = text
    return Step(model, inputs, train)


def _dtype(config: Any) -> torch.dtype:
    """What the weights are stored in; transformers' own default where the config does not say."""
    found = getattr(config.get_text_config(), "dtype", None) or getattr(config, "dtype", None)
    if isinstance(found, str):
        found = getattr(torch, found, None)
    return found if isinstance(found, torch.dtype) else torch.float32


def _longest(config: Any) -> int | None:
    """The longest sequence that the model has positions for; None where it does not say."""
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in _LENGTHS)
    return next((length for length in found if isinstance(length, int) and length > 0), None)


def _notes(config: Any, all_tokens: int, tokens: int, longest: int | None) -> tuple[str, ...]:
    notes = []
    if longest is not None and tokens > longest:
        notes.append(
            f"sequences of {tokens} tokens are longer than the {longest} that the config has "
            "positions for"
        )
    text = config.get_text_config()
    chosen = (getattr(text, name, None) for name in _EXPERTS_OF_A_TOKEN)
    experts = next((number for number in chosen if isinstance(number, int) and number > 0), None)
    if experts is not None:
        notes.append(
            f"experts are counted for {experts} x {all_tokens} tokens in each layer that has them: "
            "exact for any routing that drops no token"
        )
    return tuple(notes)
