"""Collectives and the copies around them: the bytes that one device reads and writes for each.

Bytes of this device's own buffers, each read or written once; how often an algorithm passes them on
depends on the library and the links. No arithmetic is counted: a reduction happens on the way.
"""

from __future__ import annotations

from collections.abc import Callable

from goodput.formulas.aten_recorded import formula, integer, tensor, tensor_list
from goodput.work import Argument, Call, TensorSpec, Work

_FUNCTIONAL, _IN_PLACE, _FSDP = "_c10d_functional::", "c10d::", "fsdp::"


def _bytes(value: Argument) -> int:
    """Bytes of the tensors in an argument, lists opened."""
    if isinstance(value, TensorSpec):
        return value.bytes
    return sum(_bytes(part) for part in value) if isinstance(value, tuple) else 0


def _moved(read: int, written: int) -> Work:
    return Work(bytes_read=read, bytes_written=written)


@formula(
    *(f"{_FUNCTIONAL}{name}" for name in ("wait_tensor", "_wrap_tensor_autograd")),
    f"{_IN_PLACE}barrier",
)
def _nothing(call: Call) -> Work:
    """Waits, and does nothing itself."""
    del call
    return Work()


@formula(
    *(
        f"{_FUNCTIONAL}{name}{form}"
        for name in ("all_reduce", "broadcast", "all_to_all_single")
        for form in ("", "_", "_coalesced", "_coalesced_")
    ),
    f"{_IN_PLACE}allreduce_",
    f"{_IN_PLACE}allreduce_coalesced_",
    f"{_IN_PLACE}broadcast_",
)
def _same_size(call: Call) -> Work:
    """As much is written as is read."""
    size = _bytes(call.inputs[0])
    return _moved(size, size)


@formula(f"{_FUNCTIONAL}all_gather_into_tensor", f"{_FUNCTIONAL}all_gather_into_tensor_coalesced")
def _gathered(call: Call) -> Work:
    """`(input, group_size, group)`: the input of every rank is written."""
    size = _bytes(call.inputs[0])
    return _moved(size, size * integer(call, 1))


@formula(f"{_FUNCTIONAL}reduce_scatter_tensor", f"{_FUNCTIONAL}reduce_scatter_tensor_coalesced")
def _scattered(call: Call) -> Work:
    """`(input, reduce_op, group_size, group)`: one part of the input is written."""
    size = _bytes(call.inputs[0])
    return _moved(size, size // integer(call, 2))


@formula(
    *(
        f"{_IN_PLACE}{name}"
        for name in (
            "_allgather_base_",
            "_reduce_scatter_base_",
            "allgather_",
            "allgather_into_tensor_coalesced_",
            "alltoall_base_",
            "alltoall_",
            "gather_",
            "reduce_scatter_",
            "reduce_scatter_tensor_coalesced_",
            "scatter_",
        )
    )
)
def _into(call: Call) -> Work:
    """`(output, input, ...)`."""
    return _moved(_bytes(call.inputs[1]), _bytes(call.inputs[0]))


@formula(f"{_IN_PLACE}send", f"{_IN_PLACE}reduce_")
def _sent(call: Call) -> Work:
    return _moved(_bytes(call.inputs[0]), 0)


@formula(f"{_IN_PLACE}recv_", f"{_IN_PLACE}recv_any_source_")
def _received(call: Call) -> Work:
    return _moved(0, _bytes(call.inputs[0]))


def _copied(whole: Callable[[Call], int]) -> Callable[[Call], Work]:
    def counted(call: Call) -> Work:
        size = whole(call)
        return _moved(size, size)

    return counted


# FSDP gathers parameters into one buffer, and takes that apart and its gradients together again.
formula(f"{_FSDP}all_gather_copy_in", f"{_FSDP}chunk_cat")(
    _copied(lambda call: _bytes(tensor_list(call, 0)))
)
formula(f"{_FSDP}split_with_sizes_copy")(_copied(lambda call: tensor(call, 0).bytes))
