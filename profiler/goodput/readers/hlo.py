"""An HLO module in plain terms: computations of instructions, with shapes and their parameters.

Decodes; counts nothing. HLO is what XLA runs after it has optimised a jitted program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from goodput.work import TensorSpec

# PrimitiveType of xla_data.proto; unsigned integers of a width are as wide as signed ones.
_DTYPES = {
    1: "bool",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "uint8",
    7: "int16",
    8: "int32",
    9: "int64",
    10: "float16",
    11: "float32",
    12: "float64",
    15: "complex64",
    16: "bfloat16",
    18: "complex128",
    19: "float8_e5m2",
    20: "float8_e4m3",
    21: "int8",
    22: "uint8",
    23: "float8_e4m3",
    24: "float8_e5m2",
    25: "float8_e4m3",
    28: "float8_e4m3",
}
_FFT_TYPES = ("FFT", "IFFT", "RFFT", "IRFFT")
_TUPLE, _TOKEN, _OPAQUE = 13, 17, 14


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        name: unique in its module.
        opcode: as HLO spells it, e.g. `dynamic-slice`.
        outputs: its results, a tuple's flattened; tokens are left out.
        operands: names of the instructions that it takes.
        calls: names of the computations that it calls.
        op_name: the path of names that JAX gave it.
        source: `file.py:line`, "" where it was not recorded.
        target: of a custom call.
        parameters: dimension numbers, windows and the like, under the names that JAX has for them.
        config: of the backend, where it is JSON.
        number: of a parameter of its computation.
    """

    name: str
    opcode: str
    outputs: tuple[TensorSpec, ...]
    operands: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    op_name: str = ""
    source: str = ""
    target: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def trips(self) -> int | None:
        """How often a loop runs, where the compiler knows; None where it does not."""
        known = self.config.get("known_trip_count")
        text = str(known.get("n", "")) if isinstance(known, dict) else ""
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Computation:
    """A computation: its instructions by name, in order, and the name of its result."""

    name: str
    instructions: Mapping[str, Instruction]
    root: str

    @property
    def result(self) -> Instruction:
        """The instruction whose value the computation returns."""
        return self.instructions[self.root]


@dataclass(frozen=True)
class Program:
    """One optimised module."""

    name: str
    computations: Mapping[str, Computation]
    entry: str

    @cached_property
    def places(self) -> Mapping[str, Computation]:
        """The computation that each instruction stands in, by the instruction's name."""
        return {name: c for c in self.computations.values() for name in c.instructions}

    def instruction(self, name: str) -> Instruction | None:
        """The instruction `name`; None where there is none."""
        place = self.places.get(name)
        return place.instructions[name] if place else None

    def called(self, instruction: Instruction) -> Iterator[Computation]:
        """The computations that `instruction` calls."""
        return (self.computations[name] for name in instruction.calls)


def program_of(module: Any) -> Program:
    """The program in an `HloModule` message."""
    names = {computation.id: computation.name for computation in module.computations}
    frames = _frames(module.stack_frame_index)
    computations = {c.name: _computation(c, names, frames) for c in module.computations}
    return Program(module.name, computations, names.get(module.entry_computation_id, ""))


def _computation(message: Any, names: dict[int, str], frames: list[str]) -> Computation:
    known = {instruction.id: instruction.name for instruction in message.instructions}
    made = [_instruction(each, known, names, frames) for each in message.instructions]
    return Computation(message.name, {i.name: i for i in made}, known[message.root_id])


def _instruction(
    message: Any, known: dict[int, str], names: dict[int, str], frames: list[str]
) -> Instruction:
    frame = message.metadata.stack_frame_id
    return Instruction(
        name=message.name,
        opcode=message.opcode,
        outputs=tuple(_specs(message.shape)),
        operands=tuple(known[number] for number in message.operand_ids if number in known),
        calls=tuple(names[number] for number in message.called_computation_ids if number in names),
        op_name=message.metadata.op_name,
        source=frames[frame - 1] if 0 < frame <= len(frames) else _own_source(message.metadata),
        target=message.custom_call_target,
        parameters=_parameters(message),
        config=_config(message.backend_config),
        number=message.parameter_number,
    )


def _specs(shape: Any) -> Iterator[TensorSpec]:
    if shape.element_type == _TUPLE:
        for part in shape.tuple_shapes:
            yield from _specs(part)
    elif shape.element_type not in (_TOKEN, _OPAQUE):
        dtype = _DTYPES.get(shape.element_type, f"type {shape.element_type}")
        yield TensorSpec(tuple(shape.dimensions), dtype)


def _own_source(metadata: Any) -> str:
    file = metadata.source_file.rpartition("/")[2]
    return f"{file}:{metadata.source_line}" if file else ""


def _frames(index: Any) -> list[str]:
    """`file.py:line` of each frame of the module's stack traces, the innermost one of each."""
    found = []
    for frame in index.stack_frames:
        place = index.file_locations[frame.file_location_id - 1]
        file = index.file_names[place.file_name_id - 1].rpartition("/")[2]
        found.append(f"{file}:{place.line}")
    return found


def _config(content: bytes) -> Mapping[str, Any]:
    if not content.startswith(b"{"):
        return {}
    try:
        found = json.loads(content)
    except ValueError:  # some backends write a format of their own
        return {}
    return found if isinstance(found, dict) else {}


def _parameters(message: Any) -> dict[str, object]:
    """What formulas need beside the shapes, in JAX's terms."""
    found: dict[str, object] = {}
    if message.opcode == "dot":
        dot = message.dot
        found["dimension_numbers"] = (
            (tuple(dot.lhs_contracting), tuple(dot.rhs_contracting)),
            (tuple(dot.lhs_batch), tuple(dot.rhs_batch)),
        )
    if message.HasField("precision") and not any(message.precision.operand_precision):
        found["default_precision"] = True
    if message.HasField("convolution"):
        found |= _convolution(message)
    if message.dimensions:
        found["dimensions"] = tuple(message.dimensions)
    if message.fft_length:
        found["fft_lengths"] = tuple(message.fft_length)
        found["fft_type"] = _FFT_TYPES[message.fft_type]
    if message.HasField("window"):
        found["window_dimensions"] = tuple(d.size for d in message.window.dimensions)
    return found


def _convolution(message: Any) -> dict[str, object]:
    """The dimensions of image, weight and output, and the window's steps."""
    numbers, window = message.convolution, message.window.dimensions
    return {
        "dimension_numbers": (
            (numbers.input_batch, numbers.input_feature, *numbers.input_spatial),
            (numbers.kernel_output_feature, numbers.kernel_input_feature, *numbers.kernel_spatial),
            (numbers.output_batch, numbers.output_feature, *numbers.output_spatial),
        ),
        "window_strides": tuple(each.stride or 1 for each in window),
        "lhs_dilation": tuple(each.base_dilation or 1 for each in window),
        "rhs_dilation": tuple(each.window_dilation or 1 for each in window),
        "feature_group_count": message.feature_group_count or 1,
        "batch_group_count": message.batch_group_count or 1,
    }
