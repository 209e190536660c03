"""The primitives that inductor takes PyTorch's operators apart into, where they are not operators.

They stand in compiled graphs only, so what they give is always known.
"""

from __future__ import annotations

from goodput.formulas.aten_recorded import formula, integers, output, tensor
from goodput.formulas.movement import copy, fill, gather, scatter
from goodput.formulas.pointwise import is_floating
from goodput.work import Call, TensorSpec, Work


def _floating(spec: TensorSpec) -> int:
    return spec.numel if is_floating(spec.dtype) else 0


@formula("prims::convert_element_type", "prims::inductor_force_stride_order")
@formula("prims::_low_memory_max_pool_offsets_to_indices", "prims::rev")
def copied(call: Call) -> Work:
    """A copy, in another dtype or another order; integers come of integers for free."""
    return copy((tensor(call, 0),), output(call))


@formula("prims::iota", "prims::inductor_randint", "prims::inductor_seed", "prims::inductor_seeds")
@formula("prims::inductor_rand_eager_offset", "prims::inductor_rand_eager_offsets")
def filled(call: Call) -> Work:
    """Counting, or random integers: bytes only."""
    return fill(output(call))


@formula("prims::inductor_lookup_seed")
def looked_up(call: Call) -> Work:
    """One number read."""
    return Work(bytes_read=output(call).item_bytes)


@formula("prims::inductor_random")
def random(call: Call) -> Work:
    """Uniform numbers are bytes; normal ones take 2 FLOPs and 2 special each, as `aten::randn`."""
    numbers = output(call)
    per_number = 2 if "randn" in call.inputs else 0
    work = Work(vector_flops=per_number, special=per_number) * numbers.numel
    return work + fill(numbers)


@formula("prims::fma")
def multiply_add(call: Call) -> Work:
    """A product and a sum for each element."""
    made = output(call)
    return Work(vector_flops=2 * _floating(made)) + copy(call.tensors, made)


@formula("prims::prepare_softmax_online")
def softmax_sums(call: Call) -> Work:
    """A maximum, a subtraction, an exponential and a sum for each element; two numbers a row."""
    source = tensor(call, 0)
    arithmetic = Work(vector_flops=3, special=1) * _floating(source)
    moved = copy((source,), output(call)) + fill(output(call, 1))
    return arithmetic + moved


@formula("prims::_low_memory_max_pool_with_offsets")
def max_pool(call: Call) -> Work:
    """All but one comparison for each window, and where the winner was."""
    made, window = output(call), 1
    for size in integers(call, 1):
        window *= size
    compared = Work(vector_flops=window - 1) * _floating(made)
    return compared + copy((tensor(call, 0),), made) + fill(output(call, 1))


@formula("aten::_unsafe_masked_index")
def masked_gather(call: Call) -> Work:
    """Elements picked where a mask allows it: `(self, mask, indices, fill)`."""
    return gather(tensor(call, 0), call.tensors[1:], output(call))


@formula("aten::_unsafe_masked_index_put_accumulate")
def masked_add(call: Call) -> Work:
    """Values added where a mask allows it, into a copy: `(self, mask, indices, values)`."""
    target, *indices, values = call.tensors
    return scatter(target, indices, values, values.numel, adds=1, inplace=False)
