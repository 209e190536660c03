"""XSpace files of the JAX profiler, and the HLO modules inside them, by protobuf.

The schemas are those of `xplane.proto`, `hlo.proto` and `xla_data.proto` in the sources of XLA, as
far as they are read here; fields that are not listed are skipped. `jax.profiler.ProfileData` hides
the metadata of events and planes without lines, so the file is read without it, and without jax.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from goodput.errors import NotMeasuredError, TraceFormatError, UsageError

_PACKAGE = "goodput.xspace"

# Name, number and type of each field; `*` is repeated, a capital letter begins another message.
_MESSAGES: dict[str, str] = {
    "XSpace": "planes 1 *XPlane",
    "XPlane": (
        "id 1 int64, name 2 string, lines 3 *XLine, event_metadata 4 *EventEntry, "
        "stat_metadata 5 *StatEntry, stats 6 *XStat"
    ),
    "EventEntry": "key 1 int64, value 2 XEventMetadata",
    "StatEntry": "key 1 int64, value 2 XStatMetadata",
    "XLine": (
        "id 1 int64, name 2 string, timestamp_ns 3 int64, events 4 *bytes, display_name 11 string"
    ),
    # Events stay undecoded in their line: there are millions, which `xevents` reads as columns.
    "XEvent": "metadata_id 1 int64, offset_ps 2 int64, duration_ps 3 int64, stats 4 *bytes",
    "XStat": (
        "metadata_id 1 int64, double_value 2 double/, uint64_value 3 uint64/, "
        "int64_value 4 int64/, str_value 5 string/, bytes_value 6 bytes/, ref_value 7 uint64/"
    ),
    "XEventMetadata": "id 1 int64, name 2 string, display_name 4 string, stats 5 *XStat",
    "XStatMetadata": "id 1 int64, name 2 string",
    "HloProto": "hlo_module 1 HloModule",
    "HloModule": (
        "name 1 string, computations 3 *HloComputation, id 5 int64, entry_computation_id 6 int64, "
        "stack_frame_index 17 StackFrames"
    ),
    "HloComputation": "name 1 string, instructions 2 *HloInstruction, id 5 int64, root_id 6 int64",
    "HloInstruction": (
        "name 1 string, opcode 2 string, shape 3 Shape, metadata 7 Metadata, "
        "parameter_number 9 int64, dimensions 14 *int64, window 15 Window, convolution 16 Numbers, "
        "custom_call_target 28 string, dot 30 DotNumbers, fft_type 31 int32, "
        "fft_length 32 *int64, id 35 int64, "
        "operand_ids 36 *int64, called_computation_ids 38 *int64, backend_config 43 bytes, "
        "feature_group_count 50 int64, precision 51 Precision, batch_group_count 52 int64"
    ),
    "Shape": "element_type 2 int32, dimensions 3 *int64, tuple_shapes 4 *Shape",
    "Metadata": (
        "op_type 1 string, op_name 2 string, source_file 3 string, source_line 4 int32, "
        "stack_frame_id 15 int32"
    ),
    "Precision": "operand_precision 1 *int32",
    "Window": "dimensions 1 *WindowDimension",
    "WindowDimension": (
        "size 1 int64, stride 2 int64, padding_low 3 int64, padding_high 4 int64, "
        "window_dilation 5 int64, base_dilation 6 int64"
    ),
    "Numbers": (
        "kernel_input_feature 3 int64, kernel_output_feature 4 int64, kernel_spatial 6 *int64, "
        "input_batch 7 int64, input_feature 8 int64, output_batch 9 int64, "
        "output_feature 10 int64, input_spatial 11 *int64, output_spatial 12 *int64"
    ),
    "DotNumbers": (
        "lhs_contracting 1 *int64, rhs_contracting 2 *int64, lhs_batch 3 *int64, rhs_batch 4 *int64"
    ),
    "StackFrames": (
        "file_names 1 *string, function_names 2 *string, file_locations 3 *FileLocation, "
        "stack_frames 4 *StackFrame"
    ),
    "FileLocation": "file_name_id 1 int32, function_name_id 2 int32, line 3 int32",
    "StackFrame": "file_location_id 1 int32, parent_frame_id 2 int32",
}


def read_space(path: Path) -> Any:
    """The `XSpace` message in the file `path`.

    Raises:
        UsageError: it cannot be read.
        TraceFormatError: it is empty, cut off, or no XSpace.
        NotMeasuredError: protobuf is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if not content:
        raise TraceFormatError(f"{path} is empty; the program may have ended before it was written")
    space = _parsed("XSpace", content, damaged(path))
    if not any(plane.name for plane in space.planes):
        raise TraceFormatError(f"{path} holds no plane of a profiler, so it is from another tool")
    return space


def damaged(path: Path) -> str:
    """What an error says of a file that does not parse."""
    return f"{path} is cut off or is no XSpace file of a JAX profile"


def parse_module(content: bytes, what: str) -> Any:
    """The `HloModule` message in an `HloProto`; `what` is what an error calls it.

    Raises:
        TraceFormatError: it is none.
    """
    return _parsed("HloProto", content, f"{what} is no HLO module").hlo_module


def module_message(content: bytes, what: str) -> Any:
    """An `HloModule` message that stands alone.

    Raises:
        TraceFormatError: it is none.
    """
    return _parsed("HloModule", content, f"{what} is no HLO module")


def _parsed(message: str, content: bytes, trouble: str) -> Any:
    found = message_classes()[message]()
    from google.protobuf.message import DecodeError

    try:
        found.ParseFromString(content)
    except DecodeError as error:
        raise TraceFormatError(f"{trouble} ({error})") from error
    return found


@cache
def message_classes() -> dict[str, Any]:
    """The class of each message.

    Raises:
        NotMeasuredError: protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise NotMeasuredError(
            "profiles of JAX are read with protobuf, which is not installed: pip install protobuf"
        ) from error
    kinds: dict[str, int] = {
        name: getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}")
        for name in ("int64", "int32", "uint64", "double", "string", "bytes")
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="goodput/xspace.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            _add_field(message, field, kinds)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: Any, text: str, kinds: dict[str, int]) -> None:
    """One field as it stands in `_MESSAGES`; `/` marks the members of the message's one choice."""
    name, number, kind = text.split(" ")
    field = message.field.add(name=name, number=int(number), label=3 if kind[0] == "*" else 1)
    if kind[-1] == "/":
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
    kind = kind.strip("*/")
    if kind in kinds:
        field.type = kinds[kind]
    else:
        field.type, field.type_name = 11, f".{_PACKAGE}.{kind}"
