"""JAX's primitives that move, pick or make elements, and those that only say something.

A change of shape, a broadcast and a name move nothing: XLA keeps the elements where they are.
"""

from __future__ import annotations

from functools import partial

from goodput.formulas import movement
from goodput.formulas.lax_parameters import tensor
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work

# fmt: off
NOTHING = (
    "after_all", "all_gather_done", "all_to_all_done", "axis_index", "bitcast_convert_type",
    "broadcast_in_dim", "broadcast_to", "check", "create_linear", "create_token", "dce_sink",
    "debug_callback", "debug_print", "device_put", "dim_as_value", "dimension_size", "empty",
    "empty2", "expand_dims", "freeze", "from_edtype", "inspect_sharding", "layout_constraint",
    "multiple_of", "name", "new_ref", "num_programs", "optimization_barrier", "pbroadcast_done",
    "pcast", "pin", "platform_index", "ppermute_done", "program_id", "program_order", "psum_done",
    "pvary", "random_unwrap", "random_wrap", "reduce_scatter_done", "reduced_vary_cast_p",
    "relayout", "reshape", "shape_assertion", "sharding_constraint", "squeeze", "stop_gradient",
    "tie", "to_edtype", "unpin", "vary_unreduced_cast_p", "with_memory_space_constraint",
    "xla_metadata_value", "zeros_like",
)
COPIES = (
    "bcoo_extract", "bcoo_fromdense", "bcoo_sort_indices", "bcoo_sum_duplicates", "bcoo_todense",
    "bcoo_transpose", "concatenate", "copy", "lu_pivots_to_permutation", "pad", "reshard", "rev",
    "split", "stack", "tile", "transpose", "unstack",
)
MADE = (
    "iota", "iota_2x32_shape", "philox2x32", "philox4x32", "random_bits", "random_clone",
    "random_fold_in", "random_seed", "random_split", "rng_bit_generator", "rng_uniform",
    "threefry2x32", "threefry4x32",
)
# fmt: on
"""Integer arithmetic is no FLOP, so random bits are only written."""


@register(*(f"lax::{name}" for name in NOTHING))
def _nothing(call: Call) -> Work:
    del call
    return Work()


@register(*(f"lax::{name}" for name in COPIES))
def _copies(call: Call) -> Work:
    written = sum(out.bytes for out in call.outputs)
    return Work(bytes_read=sum(spec.bytes for spec in call.tensors), bytes_written=written)


@register(*(f"lax::{name}" for name in MADE))
def _made(call: Call) -> Work:
    return Work(bytes_written=sum(out.bytes for out in call.outputs))


@register("lax::slice", "lax::dynamic_slice", "lax::get")
def _slice(call: Call) -> Work:
    """What is taken is read and written."""
    taken = call.outputs[0].bytes
    return Work(bytes_read=taken, bytes_written=taken)


@register("lax::gather")
def _gather(call: Call) -> Work:
    """`(operand, indices)`."""
    return movement.gather(tensor(call, 0), call.tensors[1:], call.outputs[0])


@register("lax::dynamic_update_slice")
def _update(call: Call) -> Work:
    """`(operand, update, *starts)`: in place, as XLA does it wherever nobody else reads it."""
    update = tensor(call, 1)
    return movement.scatter(tensor(call, 0), (), update, update.numel)


@register("lax::swap", "lax::addupdate")
def _written(call: Call) -> Work:
    """`(reference, value)`: the part that the value covers."""
    value = call.inputs[1]
    if not isinstance(value, TensorSpec):
        return Work()
    adds = int(call.name == "lax::addupdate")
    return movement.scatter(value, (), value, value.numel, adds=adds)


def _scatter(adds: int, call: Call) -> Work:
    """`(operand, indices, updates)`."""
    target, indices = tensor(call, 0), tensor(call, 1)
    values = call.inputs[2]
    updates = values if isinstance(values, TensorSpec) else None
    elements = updates.numel if updates is not None else 1
    return movement.scatter(target, (indices,), updates, elements, adds=adds)


register("lax::scatter")(partial(_scatter, 0))
for _kind in ("add", "sub", "mul", "min", "max"):
    # Both spellings are in use: newer releases write an underscore.
    register(f"lax::scatter-{_kind}", f"lax::scatter_{_kind}")(partial(_scatter, 1))
