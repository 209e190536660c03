"""PyTorch's operators that make tensors out of nothing: fills, ranges and random numbers.

Random numbers: the bits are integer work and scaling them is not counted, so uniform, Bernoulli
and integer ones are bytes only. A normal one is Box-Muller's: 2 special (a log, root, sine and
cosine for every two) and 2 FLOPs for mean and deviation; exponential, geometric and Cauchy ones
take 1 special and 1 FLOP, log-normal ones 3 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from goodput.formulas.aten_recorded import (
    UnrecordedError,
    argument,
    dtype,
    formula,
    integer,
    integers,
    optional_tensor,
    tensor,
)
from goodput.formulas.movement import copy, fill
from goodput.formulas.pointwise import broadcast, is_floating, promote
from goodput.work import Argument, Call, TensorSpec, Work

LIKE: Mapping[str, tuple[int, int, int]] = {
    "zeros_like": (1, 0, 0),
    "ones_like": (1, 0, 0),
    "full_like": (2, 0, 0),
    "rand_like": (1, 0, 0),
    "randint_like": (9, 0, 0),
    "randn_like": (1, 2, 2),
    "fill": (9, 0, 0),
    "zero": (9, 0, 0),
    "zero_": (9, 0, 0),
    "fill_": (9, 0, 0),
    "uniform_": (9, 0, 0),
    "random_": (9, 0, 0),
    "bernoulli_": (9, 0, 0),
    "normal_": (9, 2, 2),
    "normal_functional": (9, 2, 2),
    "exponential_": (9, 1, 1),
    "geometric_": (9, 1, 1),
    "cauchy_": (9, 1, 1),
    "log_normal_": (9, 2, 3),
}
"""Written, not read: place of the dtype, FLOPs and specials per element of the first argument."""

NEW: Mapping[str, int] = {"new_zeros": 2, "new_ones": 2, "new_full": 3}
"""A size in place 1; the place of the dtype, without one that of the first argument."""

SIZED: Mapping[str, tuple[int, int, int]] = {
    "zeros": (1, 0, 0),
    "ones": (1, 0, 0),
    "full": (2, 0, 0),
    "rand": (1, 0, 0),
    "randn": (1, 2, 2),
}
"""A size in place 0: place of the dtype, FLOPs and specials per element."""


def _random(target: TensorSpec, flops: int, special: int) -> Work:
    numbers = target.numel if is_floating(target.dtype) else 0
    return fill(target) + Work(vector_flops=flops * numbers, special=special * numbers)


def like(row: tuple[int, int, int], call: Call) -> Work:
    """Filling a tensor as large as the first argument; further tensors are parameters, read."""
    kind, flops, special = row
    source = tensor(call, 0)
    target = TensorSpec(source.shape, dtype(argument(call, kind), source.dtype))
    parameter = optional_tensor(call, 1)
    work = _random(target, flops, special)
    return work + Work(bytes_read=parameter.bytes) if parameter else work


def new(kind: int, call: Call) -> Work:
    """Filling a new tensor of a given size."""
    return fill(TensorSpec(integers(call, 1), dtype(argument(call, kind), tensor(call, 0).dtype)))


def _generator_or(call: Call, place: int) -> Argument:
    """The dtype at `place`, or one further where the overload has a generator (None) first."""
    value = argument(call, place)
    return argument(call, place + 1) if value is None and len(call.inputs) > 5 + place else value


def sized(row: tuple[int, int, int], call: Call) -> Work:
    """Filling a new tensor of a given size."""
    kind, flops, special = row
    default = "float32"
    if call.name == "aten::full":
        default = promote(call.inputs[1:2])  # of its value
    target = TensorSpec(integers(call, 0), dtype(_generator_or(call, kind), default))
    return _random(target, flops, special)


def normal(call: Call) -> Work:
    """Normal numbers with a mean or deviation for each element, or of a given size."""
    tensors = [item for item in call.inputs[:2] if isinstance(item, TensorSpec)]
    if not tensors:
        return _random(TensorSpec(integers(call, 2), dtype(argument(call, 4), "float32")), 2, 2)
    target = TensorSpec(broadcast(item.shape for item in tensors), promote(tensors))
    return _random(target, 2, 2) + Work(bytes_read=sum(item.bytes for item in tensors))


def bernoulli(call: Call) -> Work:
    """Zeros and ones, with a probability for each element."""
    return copy((tensor(call, 0),), tensor(call, 0))


def randint(call: Call) -> Work:
    """Random integers of a given size."""
    for place, value in enumerate(call.inputs):
        if isinstance(value, tuple):
            shape = tuple(item for item in value if isinstance(item, int))
            return fill(TensorSpec(shape, dtype(_generator_or(call, place + 1), "int64")))
    raise UnrecordedError


def multinomial(call: Call) -> Work:
    """Samples of rows of probabilities: read once and added up; int64 indices are written."""
    source, samples = tensor(call, 0), integer(call, 1)
    rows = math.prod(source.shape[:-1])
    return Work(
        vector_flops=source.numel, bytes_read=source.bytes, bytes_written=8 * rows * samples
    )


ARANGE_ARGUMENTS = {5: 1, 6: 2, 7: 3}
"""How many numbers `arange(end)`, `(start, end)` and `(start, end, step)` begin with, by length.

A ScalarType number after the end looks like a step, so the types do not tell.
"""


def arange(call: Call) -> Work:
    """Numbers in steps; of integers int64, unless a dtype is given."""
    given = ARANGE_ARGUMENTS.get(len(call.inputs), 1)
    numbers = [value for value in call.inputs[:given] if isinstance(value, int | float)]
    if not numbers or len(numbers) < given:
        raise UnrecordedError
    default = "int64" if all(isinstance(item, int) for item in numbers) else "float32"
    kind = dtype(argument(call, given), default)
    if not is_floating(kind):
        numbers = [int(number) for number in numbers]
    start, end, step = (0, numbers[0], 1) if given == 1 else (*numbers, 1)[:3]
    return fill(TensorSpec((max(0, math.ceil((end - start) / step)),), kind))


def spaced(call: Call) -> Work:
    """Evenly spaced numbers."""
    place = 4 if call.name == "aten::logspace" else 3  # it has a base before
    return fill(TensorSpec((integer(call, 2),), dtype(argument(call, place), "float32")))


def window(call: Call) -> Work:
    """A window of a cosine or two (special), or of straight lines."""
    target = TensorSpec((integer(call, 0),), "float32")
    curved = 0 if call.name == "aten::bartlett_window" else 1
    return _random(target, 2, curved)


def randperm(call: Call) -> Work:
    """A random permutation."""
    return fill(TensorSpec((integer(call, 0),), "int64"))


def eye(call: Call) -> Work:
    """An identity matrix; `eye(n)` has 5 arguments, `eye(n, m)` 6."""
    rows = integer(call, 0)
    columns = integer(call, 1) if len(call.inputs) > 5 else rows
    kind = argument(call, 2 if len(call.inputs) > 5 else 1)
    return fill(TensorSpec((rows, columns), dtype(kind, "float32")))


def scalar_tensor(call: Call) -> Work:
    """One number made a tensor."""
    return fill(TensorSpec((), dtype(argument(call, 1), "float32")))


def triangle_indices(call: Call) -> Work:
    """The int64 indices of a triangle; the offset decides how many."""
    rows, width = integer(call, 0), integer(call, 1)
    offset = argument(call, 2)
    shift = offset if isinstance(offset, int) else 0
    lower = sum(min(width, max(0, row + shift + 1)) for row in range(rows))
    if call.name.endswith("triu_indices"):
        lower = rows * width - sum(min(width, max(0, row + shift)) for row in range(rows))
    return fill(TensorSpec((2, lower), "int64"))


for _name, _like in LIKE.items():
    formula(f"aten::{_name}")(partial(like, _like))
for _name, _kind in NEW.items():
    formula(f"aten::{_name}")(partial(new, _kind))
for _name, _sized in SIZED.items():
    formula(f"aten::{_name}")(partial(sized, _sized))
formula("aten::normal")(normal)
formula("aten::bernoulli", "aten::poisson")(bernoulli)
formula("aten::randint")(randint)
formula("aten::multinomial")(multinomial)
formula("aten::arange")(arange)
formula("aten::linspace", "aten::logspace")(spaced)
formula(
    "aten::hann_window",
    "aten::hamming_window",
    "aten::blackman_window",
    "aten::kaiser_window",
    "aten::bartlett_window",
)(window)
formula("aten::randperm")(randperm)
formula("aten::eye")(eye)
formula("aten::scalar_tensor")(scalar_tensor)
formula("aten::tril_indices", "aten::triu_indices")(triangle_indices)
