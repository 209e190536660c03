"""Tensors without memory: inside `Hollow` a program runs on shapes, so nothing is computed.

New tensors are `meta` ones that say they are on the CPU. What the program gives values to stays
real: data that it brings along, and small tensors of whole numbers (indices, positions, masks),
so that what depends on them is still exact. Counts nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from goodput.errors import typed_line
from goodput.frontends.torch_calls import signature, tensors_in
from goodput.frontends.torch_count_masks import note_spans, spans_of
from goodput.frontends.torch_private import (
    Facts,
    arguments_of,
    facts_of,
    is_fake,
    is_meta,
    is_zero,
    name_of,
    plain_functions,
    written_arguments,
)

KEPT = 2**20
"""Elements up to which a new tensor of whole numbers keeps its values."""
_COMPUTED = 2**27
"""Elements up to which a result of real tensors is computed: the mask of 11,000 tokens."""
_SMALL = 2**12
"""Operands up to which no result is too large to be computed: any two make at most 2**24."""

_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_META = torch.device("meta")
_CPU = torch.device("cpu")
# Whatever their dtype: their values come from their arguments, and schedules are made of them.
_FORMULAIC = frozenset({"aten::arange", "aten::linspace", "aten::logspace", "aten::scalar_tensor"})
_FACTORS = (
    "aten::new_",
    "aten::zeros",
    "aten::ones",
    "aten::full",
    "aten::empty",
    "aten::rand",
    "aten::normal",
)
_INDEXED = frozenset({"aten::index", "aten::index_put", "aten::index_put_"})
_BUFFERS = 12
_MADE: dict[Any, Any] = {}
"""The form of the result of each call seen: torch's own rules, in Python, are slow."""

_NEW: dict[Any, tuple[Any, int]] = {}
"""The form and the bytes of what each call seen gives that makes a hollow tensor of none."""

_Kwargs = dict[str, Any]


_SCALAR = "aten::_local_scalar_dense"
_ASKED = frozenset({_SCALAR, "aten::equal"})
"""What gives the program a plain value of a tensor."""


class ValueUnknownError(RuntimeError):
    """The program asked for a value that only real data has."""


class HollowTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its own base hook
    """Runs every operator on shapes where one of its tensors is hollow.

    Attributes:
        fault: the first operator that could not run so, and why; ("", "") without one.
        scalars: the operators whose value was asked for and given as NaN.
        bytes: bytes of all tensors that the program asked for by name (not of results).
        inside: whether an operator runs, so that tensors must say where they really are.
        key: equal for calls of one operator on equal shapes, of the last call; None where shapes
            do not say all.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fault = ("", "")
        self.scalars = 0
        self.bytes = 0
        self.inside = False
        self.key: Any = None
        self._twins: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._emptied: list[tuple[torch.Tensor, torch.Tensor]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled while it is on, so it needs no guard against that, a costly one."""
        return False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """What the program compiled runs as it was written all the same."""
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func` on shapes, or really where all of its tensors have values."""
        kwargs = kwargs or {}
        for kind in types:
            if kind not in _PLAIN:
                if is_fake(kind):
                    return func(*args, **kwargs)  # torch asks itself for shapes
                return NotImplemented  # a tensor subclass: what it does inside comes back here
        outside, self.inside = self.inside, True
        try:
            with plain_functions():
                if isinstance(func, HigherOrderOperator):
                    return self._higher_order(func, args)
                return self._run(func, args, kwargs)
        except Exception as error:
            if not self.fault[0]:
                self.fault = (name_of(func), typed_line(error))
            raise
        finally:
            self.inside = outside

    def again(self, key: Any, func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        """What `func` gives for what its `hollow_key` is known of; torch is not asked twice."""
        made = _MADE.get(key)
        if made is not None:
            return _of_form(made)
        new = _NEW.get(key)
        if new is not None:
            form, size = new
            self.bytes += size
            return _of_form(form)
        outside, self.inside = self.inside, True
        try:
            return func(*args, **kwargs)
        finally:
            self.inside = outside

    def _higher_order(self, func: Any, args: tuple[Any, ...]) -> Any:
        """What flexible attention returns; the counter takes loops apart before they come here."""
        name = func.name()
        if name not in {"flex_attention", "flex_attention_backward"}:
            self.fault = (f"higher_order::{name}", "it takes functions, and has no rule for shapes")
            raise ValueUnknownError(" ".join(self.fault))
        query, key, value = (self._twin(tensor) for tensor in args[:3])
        if name == "flex_attention_backward":
            buffers = tuple(None for _ in args[12]) if len(args) > _BUFFERS else ()
            return (*map(torch.empty_like, (query, key, value)), buffers)
        made = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        return made, sums, torch.empty_like(sums)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        self.key = None
        hollow, real = _kinds(args, kwargs)
        facts = facts_of(func)
        name = facts.name
        if hollow and not real and "device" not in kwargs and name not in _ASKED:
            return self._on_hollow(facts, func, args, kwargs)
        if hollow:
            if name in _ASKED:
                return self._value(args[0]) if name == _SCALAR else self._are_equal(*args[:2])
            return self._on_shapes(func, name, args, kwargs)
        if not real or name.startswith(_FACTORS):
            return self._new(func, name, args, kwargs)
        return self._on_values(func, name, args, kwargs)

    def _on_hollow(self, facts: Facts, func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        """`func` on hollow tensors alone: torch works out each shape once."""
        key = self.key = hollow_key(func, args, kwargs)
        if key is None or not facts.makes_new:
            result = func(*args, **kwargs)
            if key is None:
                note_spans(facts.name, args, result)
            return result
        made = _MADE.get(key)
        if made is None:
            result = _on_meta(func, args, kwargs)
            form = _form(result)
            if form is not None:
                _MADE[key] = form
            return result
        return _of_form(made)

    def _on_shapes(self, func: Any, name: str, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        """`func` with a twin without memory in the place of each real tensor."""
        if name in _INDEXED:
            args = (args[0], _positions(args[1]), *args[2:])
        if name == "aten::repeat_interleave" and kwargs.get("output_size") is None:
            kwargs = {**kwargs, **_output_size(args)}
        shapes = tuple(self._twin(a) for a in args)
        named = {key: self._twin(value) for key, value in kwargs.items()}
        if named.get("device") is not None:
            named["device"] = _META
            named.pop("pin_memory", None)
        result = _on_meta(func, shapes, named)
        if written_arguments(func):
            return self._own(func, args, kwargs, shapes, named, result)
        if name == "aten::_to_copy" and not args[0].is_meta:
            result.goodput_values = args[0]
        if not self._emptied or not any(self._is_emptied(tensor) for tensor in tensors_in(args)):
            note_spans(name, args, result)
        return result

    def _own(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: _Kwargs,
        shapes: tuple[Any, ...],
        named: _Kwargs,
        result: Any,
    ) -> Any:
        """The program's own tensors in the place of their twins in the result of an in-place call.

        A real tensor that was written to holds nothing that is known from here on.
        """
        given = {}
        for place, name in written_arguments(func):
            theirs = args[place] if place < len(args) else kwargs.get(name)
            ours = shapes[place] if place < len(shapes) else named.get(name)
            for mine, twin in zip(tensors_in((theirs,)), tensors_in((ours,)), strict=True):
                given[id(twin)] = mine
                if mine is not twin:
                    self._empty(mine, twin)
        if isinstance(result, tuple | list):
            return type(result)(given.get(id(item), item) for item in result)
        return given.get(id(result), result)

    def _empty(self, mine: torch.Tensor, twin: torch.Tensor) -> None:
        self._twins[id(mine)] = (mine, twin)
        self._emptied.append((mine, twin))

    def _on_values(self, func: Any, name: str, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        """`func` on real tensors; on shapes where the result would be too large."""
        device = kwargs.get("device")
        if device is not None:
            if torch.device(device).type == "meta":
                return func(*args, **kwargs)
            kwargs = {**kwargs, "device": _CPU}
        tensors = [*tensors_in(args), *tensors_in(kwargs.values())]
        if self._emptied and any(self._is_emptied(tensor) for tensor in tensors):
            return self._on_shapes(func, name, args, kwargs)
        if sum(tensor.numel() for tensor in tensors) > _SMALL and not _fits(func, args, kwargs):
            return self._on_shapes(func, name, args, kwargs)
        return func(*args, **kwargs)

    def _is_emptied(self, tensor: torch.Tensor) -> bool:
        return any(tensor is mine for mine, _ in self._emptied)

    def _new(self, func: Any, name: str, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
        """A new tensor: real where its values are known and few, else hollow."""
        if not _takes_device(func):
            return func(*args, **kwargs)
        named = {**kwargs, "device": _META}
        named.pop("pin_memory", None)
        shapes = tuple(self._twin(a) for a in args)
        made = func(*shapes, **named)
        if not isinstance(made, torch.Tensor):
            return made
        size = made.numel() * made.element_size()
        self.bytes += size
        whole = not (made.is_floating_point() or made.is_complex())
        asked = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else ""
        if asked == "meta" or made.numel() > KEPT or not (whole or name in _FORMULAIC):
            self.key = hollow_key(func, args, kwargs)
            form = _form(made)
            if self.key is not None and form is not None:
                _NEW[self.key] = form, size
            return made
        return func(*args, **{**named, "device": _CPU})

    def _twin(self, value: Any) -> Any:
        """`value` with every real tensor in it replaced by a hollow one of its shape."""
        if isinstance(value, torch.Tensor):
            return value if value.is_meta else self._twin_of(value)
        if isinstance(value, list | tuple):
            return type(value)(self._twin(item) for item in value)
        return value

    def _twin_of(self, tensor: torch.Tensor) -> torch.Tensor:
        known = self._twins.get(id(tensor))
        if known is not None and known[0] is tensor and known[1].shape == tensor.shape:
            return known[1]
        twin = tensor.detach().to(_META)
        twin.goodput_values = tensor  # type: ignore[attr-defined]  # read by `_positions`
        return twin

    def _value(self, tensor: torch.Tensor) -> float:
        """NaN for a number that is only told (a loss); an error for one that decides something."""
        known = getattr(tensor, "goodput_values", None)
        if known is not None:
            value: float = known.item()
            return value
        if not tensor.is_floating_point():
            raise ValueUnknownError(
                f"the program asks for the value of a tensor of {tensor.dtype} that it computed"
            )
        self.scalars += 1
        return float("nan")

    def _are_equal(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether two tensors are; numbers that nothing computed are equal to none, as NaN is."""
        if one.shape != other.shape:
            return False
        for tensor in (one, other):
            if tensor.is_meta:
                self._value(tensor)
        return False


def hollow_key(func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
    """What calls of one operator on equal shapes are looked up by; None with a real tensor.

    None too where shapes do not say all.
    """
    try:
        named = _signature((*kwargs, *kwargs.values())) if kwargs else ()
        # Whole numbers over a number are of the default dtype.
        return id(func), _signature(args), named, torch.get_default_dtype()
    except TypeError:
        return None


def _signature(value: Any) -> Any:
    """As `signature`, of hollow tensors alone.

    Raises:
        TypeError: the value says more than its shape.
    """
    kind = type(value)
    if kind in _PLAIN:
        if not is_meta(value) or value.layout is not torch.strided or value.is_nested:
            raise TypeError("what a tensor holds is no part of its shape")
        dtype = value.dtype
        if dtype is torch.bool and spans_of(value) is not None:
            raise TypeError("what a mask leaves open is no part of its shape")
        return value.shape, value.stride(), dtype, is_zero(value)
    if kind is tuple or kind is list:
        return tuple([_signature(item) for item in value])
    return signature(value)


def _kinds(args: tuple[Any, ...], kwargs: _Kwargs) -> tuple[bool, bool]:
    """Whether there is a hollow tensor among the arguments, and whether a real one."""
    hollow = real = False
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, torch.Tensor):
            if is_meta(value):
                hollow = True
            else:
                real = True
        elif isinstance(value, list | tuple):
            inner = _kinds(tuple(value), {})
            hollow, real = hollow or inner[0], real or inner[1]
    return hollow, real


def _form(result: Any) -> Any:
    """Shape, strides and dtype of a result, or a list of forms; None where it is no tensor."""
    if type(result) is torch.Tensor:
        return result.shape, result.stride(), result.dtype
    if type(result) is tuple and all(type(item) is torch.Tensor for item in result):
        return [_form(item) for item in result]
    return None


def _of_form(form: Any) -> Any:
    """New hollow tensors of a form."""
    if isinstance(form, list):
        return tuple(_of_form(item) for item in form)
    shape, stride, dtype = form
    return torch.empty_strided(shape, stride, dtype=dtype, device=_META)


def _on_meta(func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> Any:
    """What torch says of the shapes; its grouped product speaks of bfloat16 alone."""
    if name_of(func) != "aten::_grouped_mm" or args[0].dtype is torch.bfloat16:
        return func(*args, **kwargs)
    left, right, *others = args
    made = func(left.to(torch.bfloat16), right.to(torch.bfloat16), *others, **kwargs)
    return torch.empty_strided(made.shape, made.stride(), dtype=left.dtype, device=_META)


def _positions(indices: Any) -> list[Any]:
    """Masks among `indices` as the positions that they pick, where their values are known."""
    found: list[Any] = []
    for index in indices:
        values = index
        if index is not None and index.is_meta:
            values = getattr(index, "goodput_values", None)
        if values is not None and values.dtype in (torch.bool, torch.uint8):
            found += [column.to(_META) for column in values.nonzero().unbind(1)]
        else:
            found.append(index)
    return found


def _output_size(args: tuple[Any, ...]) -> dict[str, int]:
    """How long a repetition is, where the numbers of repeats are known."""
    repeats = args[-1]
    values = getattr(repeats, "goodput_values", None) if _is_hollow(repeats) else repeats
    if not isinstance(values, torch.Tensor):
        return {}
    return {"output_size": int(values.sum())}


def _is_hollow(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta


def _fits(func: Any, args: tuple[Any, ...], kwargs: _Kwargs) -> bool:
    """Whether the result on real tensors is small enough to be computed."""
    shapes = [a.to(_META) if isinstance(a, torch.Tensor) else a for a in args]
    named = {**kwargs, "device": _META} if kwargs.get("device") is not None else kwargs
    try:
        result = func(*shapes, **named)
    except (RuntimeError, NotImplementedError):
        return True  # its size depends on values, which are there
    return all(tensor.numel() <= _COMPUTED for tensor in tensors_in((result,)))


@cache
def _takes_device(func: Any) -> bool:
    return any(name == "device" for name, _ in arguments_of(func))
